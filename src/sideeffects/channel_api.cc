// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/channel_api.h"

#include <array>

namespace watchwheel::sideeffects {
namespace {

constexpr std::array<std::string_view, kChannelTypes> kTypes{"webhook", "alertmanager", "email",
                                                             "slack",   "pagerduty",    "command"};
constexpr std::array<std::string_view, 2> kMailTls{"required", "none"};
constexpr std::array<std::string_view, kSendOutcomes> kOutcomes{"delivered", "retry", "permanent",
                                                                "gone", "not_sent"};

template <typename Enum, std::size_t N>
std::optional<Enum> parse(const std::array<std::string_view, N>& words, std::string_view word) {
  for (std::size_t i = 0; i < N; ++i) {
    if (words[i] == word) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(ChannelType type) {
  return kTypes.at(static_cast<std::size_t>(type));
}
std::optional<ChannelType> parse_channel_type(std::string_view word) {
  return parse<ChannelType>(kTypes, word);
}

std::string_view to_string(MailTls tls) {
  return kMailTls.at(static_cast<std::size_t>(tls));
}
std::optional<MailTls> parse_mail_tls(std::string_view word) {
  return parse<MailTls>(kMailTls, word);
}

std::string_view to_string(SendOutcome outcome) {
  return kOutcomes.at(static_cast<std::size_t>(outcome));
}

}  // namespace watchwheel::sideeffects
