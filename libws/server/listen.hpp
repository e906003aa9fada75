// Opening the sockets that a ws_listen_config names, for servers and pools.
#pragma once

#include "libws/base/error.hpp"
#include "libws/net/address_block.hpp"
#include "libws/net/tls_context.hpp"

#include <libws/server.h>

#include <span>
#include <string_view>

namespace libws {

// Errors: INVALID, UNSUPPORTED; the caller has checked nothing.
Error check_listen(const ws_listen_config& c);

// The same for a socket that is there already: what says where to listen must be unset.
Error check_listen_fd(const ws_listen_config& c);

// Who may send a PROXY protocol header; none unless that is asked for.  Errors: INVALID.  Throws
// std::bad_alloc.
Error read_proxies(const ws_listen_config& c, AddressBlocks* out);

// As many listening sockets as `fds` is long, all on the same address and port; more than one only
// for TCP, and then with SO_REUSEPORT.  All or none.  Errors: ADDR, INVALID, IO.  Throws
// std::bad_alloc.
Error open_listening(const ws_listen_config& c, std::span<int> fds);

// The file that closing removes: "" for TCP and for abstract names.
std::string_view listen_file(const ws_listen_config& c);
TlsContext* listen_tls(const ws_listen_config& c);

// A copy of a listening socket, made usable; what was given stays the caller's.  Errors: INVALID,
// IO.
Error copy_listening(int fd, int* out);

}  // namespace libws
