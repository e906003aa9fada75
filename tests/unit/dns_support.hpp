// A name service that a test writes: what getaddrinfo() answers, when it comes back, and which
// threads are there.  It is entered from the helper threads, so everything is under its mutex; the
// system table must not be put back before quiet() is true.
#pragma once

#include "libws/base/system.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace libws {

class FakeDns {
 public:
  // From here on the system table asks this one.
  void install() {
    current() = this;
    system_table.getaddrinfo = [](const char* host, const char*, const addrinfo* hints,
                                  addrinfo** out) { return current()->ask(host, *hints, out); };
    system_table.freeaddrinfo = [](addrinfo* list) { current()->give_back(list); };
    system_table.start_thread = [](void* (*run)(void*), void* arg) {
      return current()->start(run, arg);
    };
  }

  void answer(const std::string& host, int family, std::vector<std::string> addresses) {
    set(host, family, {0, 0, std::move(addresses)});
  }
  void refuse(const std::string& host, int family, int code, int sys_errno = 0) {
    set(host, family, {code, sys_errno, {}});
  }
  // Questions for it stay inside getaddrinfo() until release().
  void hold(const std::string& host, int family) {
    std::lock_guard lock(mutex_);
    held_.insert({host, family});
  }
  void release(const std::string& host, int family) {
    std::lock_guard lock(mutex_);
    held_.erase({host, family});
    changed_.notify_all();
  }
  void hold_all(bool on) {
    std::lock_guard lock(mutex_);
    hold_all_ = on;
    changed_.notify_all();
  }
  void thread_error(int e) {
    std::lock_guard lock(mutex_);
    thread_error_ = e;
  }

  size_t asked() const { return read(asked_); }       // calls of getaddrinfo()
  size_t inside() const { return read(inside_); }     // of which these have not come back
  size_t most() const { return read(most_inside_); }  // inside at once
  size_t started() const { return read(started_); }   // threads
  size_t lists() const { return read(lists_); }       // not yet given back
  std::string last_flags() const {
    std::lock_guard lock(mutex_);
    return flags_;
  }

  // False when it takes longer than any machine needs.
  bool wait_inside(size_t count) { return wait(inside_, count); }
  bool wait_threads(size_t count) { return wait(alive_, count); }
  bool quiet() { return wait_threads(0) && lists() == 0; }

 private:
  struct Answer {
    int code;
    int sys_errno;
    std::vector<std::string> addresses;
  };
  using Question = std::pair<std::string, int>;
  struct Start {
    FakeDns* dns;
    void* (*run)(void*);
    void* arg;
  };

  static FakeDns*& current() {
    static FakeDns* dns;
    return dns;
  }
  size_t read(const size_t& counter) const {
    std::lock_guard lock(mutex_);
    return counter;
  }
  bool wait(const size_t& counter, size_t value) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return counter == value; });
  }
  void set(const std::string& host, int family, Answer answer) {
    std::lock_guard lock(mutex_);
    answers_[{host, family}] = std::move(answer);
  }

  int ask(const char* host, const addrinfo& hints, addrinfo** out) {
    std::unique_lock lock(mutex_);
    Question q(host, hints.ai_family);
    flags_ = std::to_string(hints.ai_flags) + " " + std::to_string(hints.ai_socktype);
    ++asked_;
    if (++inside_ > most_inside_) most_inside_ = inside_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !hold_all_ && held_.count(q) == 0; });
    --inside_;
    changed_.notify_all();
    auto found = answers_.find(q);
    if (found == answers_.end()) return EAI_NONAME;
    if (found->second.code != 0) {
      errno = found->second.sys_errno;
      return found->second.code;
    }
    *out = nullptr;
    addrinfo** end = out;
    for (const std::string& text : found->second.addresses) {
      *end = entry(text);
      end = &(*end)->ai_next;
    }
    if (*out != nullptr) ++lists_;
    return 0;
  }

  static addrinfo* entry(const std::string& text) {
    auto* e = new addrinfo();
    e->ai_addr = reinterpret_cast<sockaddr*>(new sockaddr_storage());
    if (text.find(':') != text.npos) {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(e->ai_addr);
      v6->sin6_family = AF_INET6;
      inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr);
      e->ai_addrlen = sizeof *v6;
    } else {
      auto* v4 = reinterpret_cast<sockaddr_in*>(e->ai_addr);
      v4->sin_family = AF_INET;
      inet_pton(AF_INET, text.c_str(), &v4->sin_addr);
      e->ai_addrlen = sizeof *v4;
    }
    e->ai_family = e->ai_addr->sa_family;
    e->ai_socktype = SOCK_STREAM;
    return e;
  }
  void give_back(addrinfo* list) {
    std::lock_guard lock(mutex_);
    --lists_;
    while (list != nullptr) {
      addrinfo* next = list->ai_next;
      delete reinterpret_cast<sockaddr_storage*>(list->ai_addr);
      delete list;
      list = next;
    }
  }

  int start(void* (*run)(void*), void* arg) {
    std::lock_guard lock(mutex_);
    if (thread_error_ != 0) return thread_error_;
    auto* s = new Start{this, run, arg};
    int rc = real::start_thread(run_counted, s);
    if (rc != 0) {
      delete s;
      return rc;
    }
    ++started_;
    ++alive_;
    return 0;
  }
  static void* run_counted(void* arg) {
    Start s = *static_cast<Start*>(arg);
    delete static_cast<Start*>(arg);
    s.run(s.arg);
    std::lock_guard lock(s.dns->mutex_);
    --s.dns->alive_;
    s.dns->changed_.notify_all();
    return nullptr;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Question, Answer> answers_;
  std::set<Question> held_;
  bool hold_all_ = false;
  int thread_error_ = 0;
  size_t asked_ = 0, inside_ = 0, most_inside_ = 0, started_ = 0, alive_ = 0, lists_ = 0;
  std::string flags_;
};

}  // namespace libws
