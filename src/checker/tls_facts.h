// SPDX-License-Identifier: Apache-2.0
// checker/tls_facts.h - what a certificate and its handshake say, as a value; shared while it stays
// the same.
//
// Owns     the facts of the certificates seen last, by fingerprint.
// Thread   the lane's.
// Bounded  `entries_max`; the least recently seen goes first.
// Cost     a hash of the certificate for one that is known; about 20 us for a new one.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "core/pinned.h"
#include "core/probe.h"

struct ssl_st;
struct x509_st;
struct X509_name_st;
struct asn1_string_st;

namespace watchwheel::checker {

// RFC 4514 text in UTF-8, at most 512 bytes, control characters as '?'.
[[nodiscard]] std::string name_text(const X509_name_st* name);
[[nodiscard]] core::WallTime to_wall(const asn1_string_st* time);

class TlsFactsCache : core::Pinned {
 public:
  explicit TlsFactsCache(std::size_t entries_max) : entries_max_(entries_max) {}

  // Null only when the certificate cannot be encoded.
  [[nodiscard]] std::shared_ptr<const core::TlsFacts> facts_of(x509_st* leaf, ssl_st* session);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Fingerprint = std::array<std::uint8_t, 32>;
  struct Hash {
    std::size_t operator()(const Fingerprint& f) const noexcept;
  };
  using Entries = std::list<std::shared_ptr<const core::TlsFacts>>;

  const std::size_t entries_max_;
  Entries entries_;  // Newest first.
  std::unordered_map<Fingerprint, Entries::iterator, Hash> index_;
};

}  // namespace watchwheel::checker
