// SPDX-License-Identifier: Apache-2.0
#include "channels/signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "core/ensure.h"

namespace watchwheel::channels {
namespace {

constexpr std::string_view kPrefix = "whsec_";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string base64(std::span<const unsigned char> bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1,
                  '\0');  // One more for the zero that it ends with.
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

core::Error invalid(const std::string& what) {
  return {core::ErrorKind::Invalid,
          what +
              "; a key is base64 of 24 to 64 random bytes, as \"whsec_\" and what `openssl rand "
              "-base64 32` prints"};
}

}  // namespace

core::Result<std::string> webhook_key(std::string_view text) {
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  std::string padded(text);
  while (padded.size() % 4 != 0) padded += '=';
  const std::size_t content = padded.find_last_not_of('=') + 1;
  const std::size_t padding = padded.size() - content;
  // The decoder takes blanks and line ends for nothing, and padding in the middle.
  const bool plain = padded.find_first_of(" \t\r\n") == std::string::npos &&
                     padded.find('=') >= content && padding <= 2;
  if (text.empty() || !plain) return invalid("the key is no base64");
  std::string key(padded.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()), bytes_of(padded),
                                     static_cast<int>(padded.size()));
  if (length < 0) return invalid("the key is no base64");
  key.resize(static_cast<std::size_t>(length) - padding);
  if (key.size() < kWebhookKeyBytesMin || key.size() > kWebhookKeyBytesMax)
    return invalid("the key has " + std::to_string(key.size()) + " bytes");
  return key;
}

std::string webhook_signature(const Signed& what, std::span<const std::string> keys) {
  std::string content(what.id);
  content += "." + std::to_string(what.unix_seconds) + ".";
  content += what.body;
  std::string out;
  for (const std::string& key : keys) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    const bool made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                           bytes_of(content), content.size(), digest.data(), &length) != nullptr;
    ENSURE(made, "OpenSSL has no SHA-256");
    out += (out.empty() ? "v1," : " v1,") + base64({digest.data(), length});
  }
  return out;
}

}  // namespace watchwheel::channels
