// A look-up is on one list at a time, and its state says on which:
//
//   kWaiting -> kRunning (none: a thread has it) -> kDone -> told to its sink and deleted
//
// Literals and refusals are kDone at once.  The first that gets there since the loop last looked
// posts `task_`, which is part of Shared, so that an answer reaches the loop without memory.
//
// Shared is kept by the Resolver, by each thread, and by the task while it is posted.  A thread
// reaches for the loop only under the mutex and only while `loop_` is set; so after close() the
// loop may go, and a thread that comes back from getaddrinfo() finds nobody and cleans up.
#include "libws/net/resolver.hpp"

#include "libws/base/list.hpp"
#include "libws/base/ref.hpp"
#include "libws/base/system.hpp"

#include <netdb.h>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <utility>

namespace libws {
namespace {

// Longer ones are no names: RFC 1035 2.3.4 has 255 bytes on the wire, which is 253 characters and
// perhaps a dot at the end.  Literals with a zone are shorter.
constexpr size_t kMaxHost = 254;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool ends_with_no_case(std::string_view text, std::string_view lower_end) {
  if (text.size() < lower_end.size()) return false;
  text.remove_prefix(text.size() - lower_end.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != lower_end[i]) return false;
  }
  return true;
}

// RFC 6761 6.3: "localhost" and the names below it, absolute or not.
bool is_localhost(std::string_view host) {
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  return (host.size() == 9 && ends_with_no_case(host, "localhost")) ||
         ends_with_no_case(host, ".localhost");
}

// What getaddrinfo() need not be asked, because it could only say this.
bool cannot_be_a_name(std::string_view host) {
  return host.empty() || host.size() > kMaxHost || host.find('\0') != host.npos ||
         host.find(':') != host.npos;  // an IPv6 literal that is none
}

bool out_of_descriptors(int e) { return e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM; }

}  // namespace

struct Lookup : ListNode, Allocated {
  Lookup(LookupSink& to, std::string_view name, int in_family)
      : sink(&to), host(name), family(in_family) {}
  ~Lookup() {
    if (list != nullptr) sys().freeaddrinfo(list);
  }

  enum State : uint8_t { kWaiting, kRunning, kDone };

  LookupSink* sink;  // null: cancelled while a thread has it
  const String host;
  const int family;
  State state = kWaiting;
  // The answer: `literal` if it has a family, else `refusal` if there is one, else `code`.
  Address literal;
  const char* refusal = nullptr;
  int code = 0;  // getaddrinfo()'s
  int sys_errno = 0;
  addrinfo* list = nullptr;
};

class Resolver::Shared final : public RefCounted<Resolver::Shared>, public Allocated {
 public:
  explicit Shared(Loop& loop) : task_(run_task, this), loop_(&loop) {}

  void enqueue(Lookup* lookup);
  void finish(Lookup* lookup);
  void cancel(Lookup* lookup);
  void close();
  void abandon();

 private:
  friend class RefCounted<Shared>;
  ~Shared();

  static void* run_thread(void* self);
  static void run_task(ws_loop*, void* self, int cancelled);
  void work();
  void deliver();
  void add_thread();          // with the mutex
  void done(Lookup* lookup);  // with the mutex
  static void tell(Lookup* lookup);

  PostedTask task_;
  std::mutex mutex_;
  Loop* loop_;  // null: gone, or going
  List<Lookup> waiting_;
  size_t waiting_count_ = 0;
  size_t threads_ = 0;
  List<Lookup> done_;
  bool posted_ = false;  // task_ is in the loop's queue
};

Resolver::Shared::~Shared() { assert(threads_ == 0 && waiting_.empty() && done_.empty()); }

// ---- the loop's thread ----

void Resolver::Shared::enqueue(Lookup* lookup) {
  std::lock_guard lock(mutex_);
  if (waiting_count_ >= kMaxLookupsWaiting) {
    lookup->refusal = "too many look-ups";
    return done(lookup);
  }
  waiting_.push_back(lookup);
  ++waiting_count_;
  if (threads_ < kMaxLookupThreads) add_thread();
}

// A thread that cannot be had does no harm while others serve the queue.
void Resolver::Shared::add_thread() {
  ref();
  ++threads_;
  int e = sys().start_thread(run_thread, this);
  if (e == 0) return;
  unref();
  if (--threads_ != 0) return;
  waiting_count_ = 0;
  while (Lookup* lookup = waiting_.pop_front()) {
    lookup->refusal = "no thread";
    lookup->sys_errno = e;
    done(lookup);
  }
}

void Resolver::Shared::finish(Lookup* lookup) {
  std::lock_guard lock(mutex_);
  done(lookup);
}

void Resolver::Shared::done(Lookup* lookup) {
  lookup->state = Lookup::kDone;
  done_.push_back(lookup);
  if (posted_) return;
  posted_ = true;
  ref();
  loop_->post(task_);
}

void Resolver::Shared::cancel(Lookup* lookup) {
  {
    std::lock_guard lock(mutex_);
    if (lookup->state == Lookup::kRunning) {
      lookup->sink = nullptr;
      return;
    }
    if (lookup->state == Lookup::kWaiting) --waiting_count_;
    lookup->unlink();
  }
  delete lookup;
}

void Resolver::Shared::close() {
  List<Lookup> dropped;
  {
    std::lock_guard lock(mutex_);
    loop_ = nullptr;
    dropped.splice(waiting_);
    dropped.splice(done_);
    waiting_count_ = 0;
  }
  while (Lookup* lookup = dropped.pop_front()) delete lookup;
}

// Look-ups that a thread had, and everything if a thread had the mutex, stay where they are: nobody
// can tell any more what is whole.
void Resolver::Shared::abandon() {
  loop_ = nullptr;
  if (!mutex_.try_lock()) return;
  List<Lookup> dropped;
  dropped.splice(waiting_);
  dropped.splice(done_);
  // The threads' references and the posted task's are nobody's now.
  const size_t orphans = threads_ + (posted_ ? 1 : 0);
  threads_ = 0;
  mutex_.unlock();
  while (Lookup* lookup = dropped.pop_front()) delete lookup;
  for (size_t i = 0; i < orphans; ++i) unref();
  unref();
}

// Also when the loop is being freed: whoever still waits then has not been cancelled.
void Resolver::Shared::run_task(ws_loop*, void* self, int) {
  Ref<Shared> shared = Ref<Shared>::adopt(static_cast<Shared*>(self));
  shared->deliver();
}

void Resolver::Shared::deliver() {
  List<Lookup> batch;
  {
    std::lock_guard lock(mutex_);
    posted_ = false;
    batch.splice(done_);
  }
  // A sink may cancel others of the batch, which takes them off it.
  while (Lookup* lookup = batch.pop_front()) {
    tell(lookup);
    delete lookup;
  }
}

// ---- helper threads ----

void* Resolver::Shared::run_thread(void* self) {
  Ref<Shared> shared = Ref<Shared>::adopt(static_cast<Shared*>(self));
  shared->work();
  return nullptr;
}

void Resolver::Shared::work() {
  std::unique_lock lock(mutex_);
  while (Lookup* lookup = waiting_.pop_front()) {
    --waiting_count_;
    lookup->state = Lookup::kRunning;
    lock.unlock();
    addrinfo hints{};
    hints.ai_family = lookup->family;
    hints.ai_socktype = SOCK_STREAM;
    // Not AI_ADDRCONFIG: it goes by what addresses the interfaces have, and thereby hides
    // loopback on a machine that is offline.  What cannot be reached fails at once anyway.
    addrinfo* list = nullptr;
    int code = sys().getaddrinfo(lookup->host.c_str(), nullptr, &hints, &list);
    int sys_errno = code == EAI_SYSTEM ? errno : 0;
    lookup->list = code == 0 ? list : nullptr;
    lookup->code = code;
    lookup->sys_errno = sys_errno;
    lock.lock();
    if (loop_ != nullptr && lookup->sink != nullptr) {
      done(lookup);
      continue;
    }
    lock.unlock();
    delete lookup;
    lock.lock();
  }
  --threads_;
}

// ---- answers ----

namespace {

// Errors without an address, in words; `reason` is kept in `text`.
template <size_t N>
void explain(int code, int sys_errno, LookupAnswer* out, char (&text)[N]) {
  out->error = WS_ERR_DNS;
  out->reason = text;
  if (code == EAI_MEMORY) {
    out->error = WS_ERR_NOMEM;
    std::snprintf(text, N, "%s", error_text(WS_ERR_NOMEM));
  } else if (code == EAI_SYSTEM) {
    if (out_of_descriptors(sys_errno)) out->error = WS_ERR_IO;
    out->sys_errno = sys_errno;
    Error reason = fail_errno(out->error, sys_errno, "getaddrinfo");
    (void)reason;
    std::snprintf(text, N, "%s", last_detail());
  } else {
    out->no_such_address = code == EAI_NONAME;
#ifdef EAI_NODATA
    out->no_such_address = out->no_such_address || code == EAI_NODATA;
#endif
#ifdef EAI_ADDRFAMILY
    out->no_such_address = out->no_such_address || code == EAI_ADDRFAMILY;
#endif
    std::snprintf(text, N, "%s", gai_strerror(code));
  }
}

size_t collect(const addrinfo* list, int family, Address (&out)[kMaxLookupAddresses]) {
  size_t count = 0;
  for (const addrinfo* i = list; i != nullptr && count < kMaxLookupAddresses; i = i->ai_next) {
    if (i->ai_family != family || i->ai_addrlen > sizeof out[0].storage) continue;
    Address a = address_from(i->ai_addr, i->ai_addrlen);
    bool known = false;
    for (size_t k = 0; k < count; ++k) known = known || address_equal(a, out[k]);
    if (!known) out[count++] = a;
  }
  return count;
}

}  // namespace

void Resolver::Shared::tell(Lookup* lookup) {
  LookupAnswer answer;
  Address found[kMaxLookupAddresses];
  char text[160];
  if (lookup->literal.family() == lookup->family) {
    found[0] = lookup->literal;
    answer.count = 1;
  } else if (lookup->literal.family() != AF_UNSPEC) {
    explain(EAI_NONAME, 0, &answer, text);  // a literal of the other family
  } else if (lookup->refusal != nullptr && lookup->sys_errno == 0) {
    answer.error = WS_ERR_DNS;
    answer.reason = lookup->refusal;
  } else if (lookup->refusal != nullptr) {
    answer.error = WS_ERR_IO;
    answer.sys_errno = lookup->sys_errno;
    Error reason = fail_errno(WS_ERR_IO, lookup->sys_errno, "%s", lookup->refusal);
    (void)reason;
    std::snprintf(text, sizeof text, "%s", last_detail());
    answer.reason = text;
  } else if (lookup->code != 0) {
    explain(lookup->code, lookup->sys_errno, &answer, text);
  } else {
    answer.count = collect(lookup->list, lookup->family, found);
    if (answer.count == 0) explain(EAI_NONAME, 0, &answer, text);
  }
  answer.addresses = found;
  lookup->sink->on_lookup(lookup, answer);
}

Resolver::Resolver(Loop& loop) : shared_(new Shared(loop)) {}

Resolver::~Resolver() {
  if (shared_ == nullptr) return;
  shared_->close();
  shared_->unref();
}

void Resolver::abandon() { std::exchange(shared_, nullptr)->abandon(); }

Lookup* Resolver::start(LookupSink& sink, std::string_view host, int family) {
  assert(family == AF_INET || family == AF_INET6);
  auto* lookup = new Lookup(sink, host.substr(0, kMaxHost + 1), family);
  if (is_localhost(host)) {
    lookup->literal = address_loopback(family);
    shared_->finish(lookup);
  } else if (address_literal(host, &lookup->literal)) {
    shared_->finish(lookup);
  } else if (cannot_be_a_name(host)) {
    lookup->code = EAI_NONAME;
    shared_->finish(lookup);
  } else {
    shared_->enqueue(lookup);
  }
  return lookup;
}

void Resolver::cancel(Lookup* lookup) { shared_->cancel(lookup); }

}  // namespace libws
