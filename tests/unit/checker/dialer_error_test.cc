// SPDX-License-Identifier: Apache-2.0
#include "checker/dialer_error.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace watchwheel::checker {
namespace {

using core::Cause;

// Goal: whose fault an error number is, at once and later. Method: the whole list. The socket was never connected, so nobody
// spoke.
TEST(DialerError, EachNumberHasItsCause) {
  struct Case {
    int error;
    Cause at_once;
    Cause later;
  };
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  for (const Case& c : {Case{ECONNREFUSED, Cause::ConnectRefused, Cause::ConnectRefused},
                        Case{ECONNRESET, Cause::ConnectReset, Cause::ConnectReset},
                        Case{ECONNABORTED, Cause::ConnectReset, Cause::ConnectReset},
                        Case{EPIPE, Cause::ConnectReset, Cause::ConnectReset},
                        Case{ETIMEDOUT, Cause::ConnectTimeout, Cause::ConnectTimeout},
                        Case{EMFILE, Cause::LocalResources, Cause::LocalResources},
                        Case{ENFILE, Cause::LocalResources, Cause::LocalResources},
                        Case{ENOBUFS, Cause::LocalResources, Cause::LocalResources},
                        Case{ENOMEM, Cause::LocalResources, Cause::LocalResources},
                        Case{EAGAIN, Cause::LocalResources, Cause::LocalResources},
                        Case{EADDRINUSE, Cause::LocalResources, Cause::LocalResources},
                        Case{EADDRNOTAVAIL, Cause::LocalResources, Cause::LocalResources},
                        Case{ENETDOWN, Cause::LocalNetwork, Cause::LocalNetwork},
                        Case{ENETUNREACH, Cause::LocalNetwork, Cause::ConnectUnreachable},
                        Case{EHOSTUNREACH, Cause::LocalNetwork, Cause::ConnectUnreachable},
                        Case{EACCES, Cause::LocalNetwork, Cause::ConnectUnreachable},
                        Case{EPERM, Cause::LocalNetwork, Cause::ConnectUnreachable},
                        Case{EINVAL, Cause::LocalNetwork, Cause::ConnectUnreachable},
                        Case{EAFNOSUPPORT, Cause::LocalNetwork, Cause::ConnectUnreachable}}) {
    EXPECT_EQ(cause_of_error_at_once(c.error), c.at_once) << c.error;
    EXPECT_EQ(cause_of_error_later(c.error, fd), c.later) << c.error;
  }
  ::close(fd);
}

TEST(DialerError, WatchingIsSwitchedOnAndOff) {
  for (const bool v6 : {false, true}) {
    const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(fd, 0);
    const auto is_on = [fd, v6] {
      int on = -1;
      socklen_t length = sizeof on;
      ::getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &on,
                   &length);
      return on;
    };
    watch_who_speaks(fd, v6);
    EXPECT_EQ(is_on(), 1);
    stop_watching_who_speaks(fd, v6);
    EXPECT_EQ(is_on(), 0);
    ::close(fd);
  }
}

}  // namespace
}  // namespace watchwheel::checker
