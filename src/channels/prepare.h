// SPDX-License-Identifier: Apache-2.0
// channels/prepare.h - an attempt as what is sent: the requests, the mail or the program's input.
//
// Secrets are read from their files each time, so a changed file counts from the next attempt on. Whoever changes one writes
// another file and renames it: what is read while it is written is half a secret.
//
// Thread   any; it reads small files.
// Fails    with what is wrong with our own means (a secret's file, a template): nothing was sent then. Never with a secret in it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "checker/address.h"
#include "core/clock.h"
#include "core/result.h"
#include "sideeffects/channel_api.h"

namespace watchwheel::channels {

// What chats and alerts say in words.
inline constexpr std::size_t kTextBytesMax = 32 * 1024;
// A mail's: a thousand sites have room.
inline constexpr std::size_t kMailBytesMax = 1024 * 1024;

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers{};  // "Name: value", without line ends.
  std::string body{};
};

struct MailRequest {
  std::string url;
  std::string user{}, password{};  // "": none.
  std::string from{};
  std::string to{};  // An address alone.
  bool starttls = true;           // Needed. False: not asked for.
  std::shared_ptr<const std::string> mail{};  // The same for all recipients.
};

struct ProgramRequest {
  std::vector<std::string> words;
  std::vector<std::string> environment{};  // "NAME=value"; there is no other.
  std::string input{};
};

// The requests of one attempt; usually one.
using HttpRequests = std::vector<HttpRequest>;
// One for each recipient: whom the server does not take now is asked for again, and nobody else.
using MailRequests = std::vector<MailRequest>;

struct Prepared {
  std::variant<HttpRequests, MailRequests, ProgramRequest> what;
  std::vector<checker::Cidr> allow{};
};

// `now`: of this attempt. `user_agent`: one line.
[[nodiscard]] core::Result<Prepared> prepare(const sideeffects::Attempt& attempt,
                                             core::WallTime now, const std::string& user_agent);

}  // namespace watchwheel::channels
