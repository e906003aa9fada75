// What hangs on a connection without the connection knowing what it is, and wants to know its end:
// a hub's subscriptions.
#pragma once

namespace libws {

class Conn;

class ConnAttachment {
 public:
  // The connection has ended, on_close comes next, and this is no longer attached.  Not called when
  // the loop is abandoned: what attaches is, or belongs to, a member of the loop, which is told.
  virtual void on_conn_ended() = 0;

  // By which its owner finds it again.
  const void* tag() const { return tag_; }

 protected:
  explicit ConnAttachment(const void* tag) : tag_(tag) {}
  ~ConnAttachment() = default;

 private:
  friend class Conn;
  ConnAttachment* next_ = nullptr;
  const void* tag_;
};

}  // namespace libws
