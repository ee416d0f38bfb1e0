// SPDX-License-Identifier: Apache-2.0
// checker/tls_facts.h - what a certificate and its handshake say, as a value; shared while it stays
// the same.
//
// Owns     the facts of the chains seen last, by the certificates' fingerprints.
// Thread   the lane's.
// Bounded  `entries_max`; the least recently seen goes first.
// Cost     a hash of each certificate for a chain that is known; about 30 us for a new one.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "checker/tls_chain_cache.h"
#include "core/pinned.h"
#include "core/probe.h"

struct ssl_st;
struct x509_st;
struct x509_store_ctx_st;
struct X509_name_st;
struct asn1_string_st;

namespace watchwheel::checker {

// RFC 4514 text in UTF-8, at most 512 bytes, control characters as '?'.
[[nodiscard]] std::string name_text(const X509_name_st* name);
[[nodiscard]] core::WallTime to_wall(const asn1_string_st* time);
// "EC 256", "RSA 2048".
[[nodiscard]] std::string key_text(x509_st* certificate);

// What the server sent, the leaf first. Borrowed from the context it was read from.
struct PresentedChain {
  std::vector<x509_st*> certificates;
  std::vector<Digest> fingerprints;  // SHA-256 of each one's DER.
  Digest together{};                 // SHA-256 of these.
};
// Nothing when there is no certificate, or one cannot be encoded.
[[nodiscard]] std::optional<PresentedChain> read_chain(x509_store_ctx_st* context);

class TlsFactsCache : core::Pinned {
 public:
  explicit TlsFactsCache(std::size_t entries_max) : entries_max_(entries_max) {}

  // Never null.
  [[nodiscard]] std::shared_ptr<const core::TlsFacts> facts_of(const PresentedChain& chain,
                                                               ssl_st* session);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const Digest& digest) const noexcept;
  };
  struct Entry {
    Digest chain;
    std::shared_ptr<const core::TlsFacts> facts;
  };
  using Entries = std::list<Entry>;

  const std::size_t entries_max_;
  Entries entries_;  // Newest first.
  std::unordered_map<Digest, Entries::iterator, Hash> index_;
};

}  // namespace watchwheel::checker
