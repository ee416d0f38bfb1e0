// SPDX-License-Identifier: Apache-2.0
#include "http/listening.h"

#include <fcntl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <cstdint>
#include <system_error>

namespace watchwheel::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

core::Result<tcp::endpoint> parse_listen(const std::string& listen, const std::string& key) {
  const core::Error wrong{
      core::ErrorKind::Invalid,
      key + ": \"" + listen + "\" is not IP:PORT or [IP]:PORT, as in 127.0.0.1:9464"};
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) return wrong;
  std::string host = listen.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);

  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error || address.is_v6() != bracketed) return wrong;

  std::uint16_t port = 0;
  const char* const end = listen.data() + listen.size();
  const auto parsed = std::from_chars(listen.data() + colon + 1, end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return wrong;
  return tcp::endpoint(address, port);
}

core::Error cannot_listen(const std::string& listen, const std::string& key,
                          const error_code& error) {
  std::string remedy;
  if (error == boost::system::errc::address_in_use) {
    remedy = "; another program listens there: stop it, or set " + key + " to another port";
  } else if (error == boost::system::errc::address_not_available) {
    remedy = "; this machine does not have that address: set " + key + " to one that it has";
  } else if (error == boost::system::errc::permission_denied) {
    remedy = "; ports below 1024 need CAP_NET_BIND_SERVICE: set " + key + " to a higher port";
  }
  return {core::ErrorKind::Unavailable,
          "cannot listen on " + listen + ": " + error.message() + remedy};
}

}  // namespace

core::Result<Listening> listen_at(const std::string& listen, const std::string& key) {
  const auto endpoint = parse_listen(listen, key);
  if (!endpoint) return endpoint.error();
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  error_code error;
  acceptor.open(endpoint->protocol(), error);
  if (!error) close_on_exec(acceptor.native_handle());
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(*endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return cannot_listen(listen, key, error);
  return Listening{.fd = acceptor.release(), .v6 = endpoint->address().is_v6()};
}

void close_on_exec(int fd) {
  (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

}  // namespace watchwheel::http
