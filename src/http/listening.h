// SPDX-License-Identifier: Apache-2.0
// http/listening.h - the socket that a listener of ours accepts on.
//
// Thread   the caller's.
// Fails    Invalid: no IP:PORT. Unavailable: the address is taken, not ours or not allowed; the message says which key to change.
#pragma once

#include <string>

#include "core/result.h"

namespace watchwheel::http {

struct Listening {
  int fd = -1;  // The caller's to close, or to give to an acceptor.
  bool v6 = false;
};

// Binds and listens at "IP:PORT" or "[IP]:PORT"; port 0: one that is free. `key`: the configuration's, for messages.
[[nodiscard]] core::Result<Listening> listen_at(const std::string& listen, const std::string& key);

// Asio does not ask for it. A program that we ever start must not keep our port.
void close_on_exec(int fd);

}  // namespace watchwheel::http
