// SPDX-License-Identifier: Apache-2.0
// A client that sends exactly what the test says, well-formed or not, and reads what comes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::http {

struct RawResponse {
  unsigned status = 0;
  std::map<std::string, std::string> headers;  // Names in lower case.
  std::string body;
};

class RawClient : core::Pinned {
 public:
  // A read that waits longer than `patience` gives up, as if the peer had closed.
  explicit RawClient(std::uint16_t port, bool ipv6 = false,
                     core::Duration patience = std::chrono::seconds{20});
  ~RawClient();

  [[nodiscard]] bool connected() const { return connected_; }
  // False when the peer takes no more.
  bool send(std::string_view bytes);
  // The next response; nothing when the connection ended before it was whole. `head`: it answers a HEAD.
  [[nodiscard]] std::optional<RawResponse> receive(bool head = false);
  // Reads on until the peer closes or resets; false when it did neither within the patience.
  [[nodiscard]] bool closed_by_peer();

  // "GET path" with a Host header, and the response to it.
  [[nodiscard]] std::optional<RawResponse> get(std::string_view path,
                                               std::string_view more_headers = "");

 private:
  enum class More { Read, Closed, Nothing };
  More read_more();

  int fd_ = -1;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace watchwheel::http
