// SPDX-License-Identifier: Apache-2.0
// channels/signature.h - the signature of a webhook, as the Standard Webhooks document says (scheme v1).
//
// HMAC-SHA256 over "ID.TIMESTAMP.BODY", in base64 behind "v1,". With several keys several signatures stand beside each other,
// so that receivers may change to a new key while the old one still signs.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace watchwheel::channels {

inline constexpr std::size_t kWebhookKeyBytesMin = 24;
inline constexpr std::size_t kWebhookKeyBytesMax = 64;

// The bytes of a key from its text: base64, usually behind "whsec_". Invalid, never with a part of the key: no base64, or
// fewer or more bytes than the document allows.
[[nodiscard]] core::Result<std::string> webhook_key(std::string_view text);

struct Signed {
  std::string_view id;
  std::int64_t unix_seconds = 0;
  std::string_view body;
};
// The value of the header "webhook-signature": one signature for each key, in their order.
[[nodiscard]] std::string webhook_signature(const Signed& what, std::span<const std::string> keys);

}  // namespace watchwheel::channels
