// SPDX-License-Identifier: Apache-2.0
// checker/dialer_error.h - what a failed connect says, and who said it.
//
// Thread   the lane's.
// Cost     two system calls for a connect that succeeds (0.8 us for both, measured), a few more for one that failed.
//
// EHOSTUNREACH can be the word of a router on the way, which is about the site, or of our own kernel when our gateway answers no
// ARP, which is about us: the kernel then sends itself an ICMP message. The error number is the same. With IP_RECVERR the socket
// keeps who sent the message. Of a target on one of our own links our kernel's word is about the target: no gateway stands
// between. It must not stay on: a connection that stands would break at the first such message instead of
// waiting for the path to come back.
#pragma once

#include "core/probe.h"

namespace watchwheel::checker {

// Before connect().
void watch_who_speaks(int fd, bool v6);
// When it is connected.
void stop_watching_who_speaks(int fd, bool v6);

// What an error of socket(), or of connect() itself, means: our routing table or firewall speaks (no route, prohibited, no such
// family), or there is no room.
[[nodiscard]] core::Cause cause_of_error_at_once(int error);

// What the error with which a connect ended later means. `fd`: the socket, with who spoke still in it.
[[nodiscard]] core::Cause cause_of_error_later(int error, int fd);

}  // namespace watchwheel::checker
