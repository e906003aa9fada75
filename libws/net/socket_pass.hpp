// Descriptors between processes: unix sockets, their peers' users, and waiting for one without a
// loop.
#pragma once

#include "libws/base/error.hpp"
#include "libws/net/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace libws {

// Sends all bytes with the descriptors, at once or not at all.  Errors: IO.
Error socket_send_fds(int fd, std::span<const uint8_t> data, std::span<const int> fds);

// Reads some bytes, and descriptors if any came with them, which are the caller's to close whatever
// the result is: `fds` from *count on, close-on-exec.  More than there is room for is kFailed with
// EMSGSIZE.
IoResult socket_recv_fds(int fd, std::span<uint8_t> into, std::span<int> fds, size_t* count);

// The peer of a unix socket runs as this process's user, or as root.
bool socket_peer_is_trusted(int fd);

// Waits until the descriptor can be read (or written).  False: `deadline_us` is past.
bool socket_wait(int fd, bool writing, uint64_t deadline_us);

}  // namespace libws
