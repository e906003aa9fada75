// For tests of talks with proxies: plays the proxy's answers in every cut and insists on one
// result.
#pragma once

#include "http_support.hpp"

#include "libws/client/proxy_talk.hpp"

#include <functional>
#include <memory>

namespace proxy_test {

using libws::Proxy;
using libws::ProxyKind;
using libws::ProxyTalk;
using Step = ProxyTalk::Step;
using std::string;
using std::string_view;

using Make = std::function<std::unique_ptr<ProxyTalk>()>;
// What the proxy says each time that it has been told everything so far.
using Answers = std::vector<string>;

inline Proxy proxy_of(ProxyKind kind) {
  Proxy proxy;
  proxy.kind = kind;
  return proxy;
}

inline Proxy proxy_of(ProxyKind kind, string_view user, string_view password) {
  Proxy proxy = proxy_of(kind);
  proxy.has_credentials = true;
  proxy.user = user;
  proxy.password = password;
  return proxy;
}

// How many bytes the next piece of the answer has, at most `left`.
using NextCut = std::function<size_t(size_t left)>;

// Plays it and writes it down: "[what we say]" before each answer, then "more", "done" or the
// detail, with the status in front if there is one.
class Play {
 public:
  Play(const Make& make, const Answers& answers, const NextCut& cut) : talk_(make()) {
    for (const string& answer : answers) {
      if (step_ != Step::kMore) break;
      take_output(cut);
      feed(answer, cut);
    }
    if (step_ == Step::kMore) take_output(cut);
  }

  Step step() const { return step_; }
  // bytes of all answers that were fed
  size_t fed() const { return fed_; }

  string log() const {
    if (step_ == Step::kDone) return said_ + "done";
    if (step_ == Step::kMore) return said_ + "more";
    const string status = talk_->status() == 0 ? "" : std::to_string(talk_->status()) + ": ";
    return said_ + status + talk_->detail();
  }

  void end() { step_ = talk_->feed_eof(); }

 private:
  void take_output(const NextCut& cut) {
    string all;
    while (!talk_->output().empty()) {
      const size_t n = cut(talk_->output().size());
      all += talk_->output().substr(0, n);
      talk_->sent(n);
    }
    if (!all.empty()) said_ += "[" + http_test::shown(all) + "] ";
  }

  void feed(string_view answer, const NextCut& cut) {
    while (step_ == Step::kMore && !answer.empty()) {
      assert_string_equal(talk_->detail(), "");
      const size_t n = cut(answer.size());
      // A copy of its own size, so that a sanitizer sees a read past it.
      const std::vector<char> piece(answer.begin(), answer.begin() + static_cast<ptrdiff_t>(n));
      step_ = talk_->feed(libws::bytes(piece.data(), piece.size()));
      answer.remove_prefix(n);
      fed_ += n;
    }
  }

  std::unique_ptr<ProxyTalk> talk_;
  Step step_ = Step::kMore;
  string said_;
  size_t fed_ = 0;
};

inline string play_whole(const Make& make, const Answers& answers) {
  return Play(make, answers, [](size_t left) { return left; }).log();
}

// The log, after it came out the same whole, byte by byte and at 16 seeded sets of cuts.
inline string play(const Make& make, const Answers& answers) {
  const string whole = play_whole(make, answers);
  const Play bytewise(make, answers, [](size_t) { return 1; });
  http_test::expect_text("byte by byte", bytewise.log(), whole);
  std::mt19937 random(1928);
  for (int round = 0; round < 16; ++round) {
    const size_t most = round % 2 == 0 ? 5 : 60;
    const auto cut = [&](size_t left) { return std::min<size_t>(1 + random() % most, left); };
    http_test::expect_text("random cuts", Play(make, answers, cut).log(), whole);
  }
  return whole;
}

// Answers that end well are cut off after each byte but the last: never done, and an error once
// the end is known.
inline void expect_every_truncation_fails(const Make& make, const Answers& answers) {
  size_t total = 0;
  for (const string& answer : answers) total += answer.size();
  for (size_t keep = 0; keep < total; ++keep) {
    Answers cut;
    size_t left = keep;
    for (const string& answer : answers) {
      cut.push_back(answer.substr(0, std::min(left, answer.size())));
      left -= cut.back().size();
      if (cut.back().size() < answer.size()) break;
    }
    Play played(make, cut, [](size_t n) { return n; });
    assert_true(played.step() == Step::kMore);
    assert_int_equal(played.fed(), keep);
    played.end();
    assert_true(played.step() == Step::kFailed);
    const string wanted = keep == 0 ? "the proxy closed the connection without an answer"
                                    : "the proxy closed the connection amid its answer";
    assert_true(played.log().ends_with(wanted));
  }
}

}  // namespace proxy_test
