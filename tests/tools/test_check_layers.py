import itertools
import unittest

import check_layers
from tree import TreeTest


class CheckLayers(TreeTest):
    def setUp(self):
        super().setUp()
        for header, layer in check_layers.PUBLIC.items():
            self.write(f"include/libws/{header}", "")
        for layer in check_layers.BELOW:
            self.write(f"libws/{layer}/thing.hpp", "#pragma once\n")

    def complaints_of(self, name, *lines):
        path = self.write(name, "\n".join(lines) + "\n")
        found = list(check_layers.complaints(self.root))
        path.unlink()
        self.assertTrue(all(line.startswith(name) for line in found), found)
        return found

    def assert_fine(self, name, *lines):
        self.assertEqual(self.complaints_of(name, *lines), [])

    def assert_refused(self, name, *lines):
        self.assertEqual(len(self.complaints_of(name, *lines)), 1, f"{name}: {lines}")

    def test_every_pair_of_layers_follows_the_arrows(self):
        order = ["base", "protocol", "net", "conn", "server", "client", "pubsub", "api"]
        sideways = [{"protocol", "net"}, {"server", "client"}, {"server", "pubsub"}]
        sideways.append({"client", "pubsub"})
        for above, below in itertools.product(order, order):
            line = f'#include "libws/{below}/thing.hpp"'
            down = order.index(below) <= order.index(above) and {above, below} not in sideways
            (self.assert_fine if down else self.assert_refused)(f"libws/{above}/x.cpp", line)

    def test_public_headers_are_seen_from_their_layer_up(self):
        for name, allowed in {
            "base": {"base.h"},
            "protocol": {"base.h", "message.h", "config.h", "request.h", "engine.h"},
            "net": {"base.h", "loop.h", "tls.h"},
        }.items():
            for header in check_layers.PUBLIC:
                check = self.assert_fine if header in allowed else self.assert_refused
                check(f"libws/{name}/x.hpp", f"#include <libws/{header}>")
        self.assert_refused("libws/conn/x.cpp", "#include <libws/server.h>")
        self.assert_fine("libws/server/x.cpp", "#include <libws/server.h>")
        self.assert_refused("libws/api/x.cpp", "#include <libws/ws.h>")
        self.assert_refused("libws/api/x.cpp", "#include <libws/unknown.h>")

    def test_public_headers_follow_the_arrows_too(self):
        self.assert_fine("include/libws/conn.h", "#include <libws/loop.h>", "#include <stdint.h>")
        self.assert_refused("include/libws/loop.h", "#include <libws/message.h>")
        self.assert_refused("include/libws/loop.h", "#include <stdio.h>")
        self.assert_refused("include/libws/loop.h", '#include "base.h"')

    def test_a_new_public_header_needs_a_layer(self):
        self.assert_refused("include/libws/novel.h", "")

    def test_own_headers_are_written_in_full_and_exist(self):
        self.assert_refused("libws/conn/x.cpp", '#include "thing.hpp"')
        self.assert_refused("libws/conn/x.cpp", '#include "../base/thing.hpp"')
        self.assert_refused("libws/conn/x.cpp", '#include "libws/base/absent.hpp"')
        self.assert_refused("libws/x.cpp", "#include <cstdint>")
        self.assert_refused("libws/elsewhere/x.cpp", "#include <cstdint>")

    def test_openssl_zlib_and_sockets_have_one_door_each(self):
        self.assert_fine("libws/base/crypto.cpp", "#include <openssl/evp.h>")
        self.assert_refused("libws/base/other.cpp", "#include <openssl/evp.h>")
        self.assert_refused("libws/net/socket.cpp", "#include <openssl/ssl.h>")
        self.assert_fine("libws/net/transport_tls.cpp", "#include <openssl/ssl.h>")
        self.assert_fine("libws/protocol/inflater.hpp", "#include <zlib.h>")
        self.assert_refused("libws/protocol/frame.cpp", "#include <zlib.h>")
        self.assert_fine("libws/net/socket.cpp", "#include <sys/socket.h>")
        self.assert_fine("libws/base/system.cpp", "#include <sys/epoll.h>")
        self.assert_refused("libws/base/log.cpp", "#include <unistd.h>")
        self.assert_refused("libws/conn/conn.cpp", "#include <sys/socket.h>")
        self.assert_fine("libws/protocol/origin.cpp", "#include <arpa/inet.h>")
        self.assert_refused("libws/protocol/origin.cpp", "#include <sys/socket.h>")

    def test_protocol_has_no_clock_thread_or_stream(self):
        for header in ("chrono", "ctime", "time.h", "thread", "mutex", "iostream", "fstream"):
            self.assert_refused("libws/protocol/frame.cpp", f"#include <{header}>")

    def test_any_spelling_of_an_include_is_read(self):
        for line in ("#include <zlib.h>", "  #  include\t<zlib.h> // why", "#include<zlib.h>"):
            self.assert_refused("libws/protocol/frame.cpp", line)
        self.assert_fine("libws/protocol/frame.cpp", "// #include <zlib.h>")

    def test_applications_see_public_headers_only(self):
        for directory in check_layers.APPLICATIONS:
            self.assert_fine(f"{directory}/x.c", "#include <libws/conn.h>", '#include "y.h"')
            self.assert_refused(f"{directory}/x.c", '#include "libws/base/thing.hpp"')
            self.assert_refused(f"{directory}/x.c", "#include <libws/base/thing.hpp>")
        self.assert_refused("cli/x.c", '#include "../libws/base/thing.hpp"')
        self.assert_fine("tests/unit/x.cpp", '#include "libws/base/thing.hpp"')

    def test_a_cycle_inside_a_layer_is_found(self):
        self.write("libws/base/b.hpp", '#include "libws/base/a.hpp"\n')
        found = self.complaints_of("libws/base/a.hpp", '#include "libws/base/b.hpp"')
        self.assertEqual(len(found), 1)
        self.assertIn("libws/base/a.hpp -> libws/base/b.hpp", found[0])

    def test_a_class_name_is_defined_in_one_file(self):
        self.write("libws/net/a.hpp", "namespace libws {\nclass Route final : A {\n};\n}\n")
        found = self.complaints_of("libws/server/b.hpp", "struct Route {\n};")
        self.assertEqual(len(found), 1)
        self.assertIn("Route is the name of a class in libws/net/a.hpp already", found[0])
        for other in (
            "struct Route;",
            "  struct Route {\n  };",
            "struct Route::Part {\n};",
            "namespace {\nstruct A {\n};\nstruct Route {\n};\n}  // namespace",
        ):
            self.assert_fine("libws/server/b.hpp", other)


if __name__ == "__main__":
    unittest.main()
