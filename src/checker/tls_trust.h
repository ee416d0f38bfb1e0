// SPDX-License-Identifier: Apache-2.0
// checker/tls_trust.h - whom we trust: sets of certificates as they are on disk, and the chains verified by them.
//
// TrustStores  the stores of one lane, each loaded once however many sites use it: loading one for each handshake was measured at
//              58 ms of CPU. With them the chains that were verified, for all stores together (tls_chain_cache.h).
// TrustStore   one of them: the machine's, or one file's. It is read again when it has changed on disk (file_stamp.h).
//
// Thread   the lane's.
// Bounded  one store for each file named by plans that live, each file at most 16 MiB; verified chains by `chains_max`.
// Time     steady time for how often the disk is looked at, wall time against the ages of files; both passed in.
// Fails    as values. Once loaded, a store that cannot be read any more stays as it was: sites are not untrusted because a file
//          of ours is away. That is counted: Stats::trust_reload_failures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "checker/stats.h"
#include "checker/tls_chain_cache.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"

struct ssl_ctx_st;
struct x509_store_st;

namespace watchwheel::checker {

class TrustStore;

class TrustStores : core::Pinned {
 public:
  // `stats` outlives it; null: nothing is counted.
  explicit TrustStores(Stats* stats = nullptr, std::size_t chains_max = 1000);
  ~TrustStores();

  // The machine's store (SSL_CERT_FILE, else OpenSSL's default file or directory), read at first use.
  [[nodiscard]] std::shared_ptr<TrustStore> system();
  // Only the certificates in this PEM file, roots or not. Invalid when it cannot be read or holds none. Plans with the same file
  // share it.
  [[nodiscard]] core::Result<std::shared_ptr<TrustStore>> file(const std::string& path);
  // Forgets the chains that were not seen last.
  void give_back_memory();

 private:
  friend class TrustStore;
  struct Ground;
  std::shared_ptr<Ground> ground_;
  std::shared_ptr<TrustStore> system_;
  std::map<std::string, std::weak_ptr<TrustStore>> files_;
};

// Where certificates are read from.
class TrustSource;

class TrustStore : core::Pinned {
 public:
  ~TrustStore();

  // Reads the certificates, when that was not done or they have changed: up to 60 ms on the lane's thread. Unavailable when the
  // machine has none that can be read.
  [[nodiscard]] core::Result<void> ready(core::SteadyTime now, core::WallTime wall);
  // Gives `context` the certificates, made ready before.
  [[nodiscard]] core::Result<void> install(ssl_ctx_st* context, core::SteadyTime now,
                                           core::WallTime wall);

  // Which certificates ready() found last: another number after every change, never that of another store.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

  // The chains of all stores; a chain's hash has the generation in it.
  [[nodiscard]] bool knows(const Digest& chain, core::WallTime now);
  void remember(const Digest& chain, core::WallTime now, core::WallTime until);

 private:
  friend class TrustStores;
  struct StoreDeleter {
    void operator()(x509_store_st* store) const;
  };
  using Loaded = std::unique_ptr<x509_store_st, StoreDeleter>;

  TrustStore(std::shared_ptr<TrustStores::Ground> ground, std::unique_ptr<TrustSource> source);
  [[nodiscard]] bool load();
  void look_again(core::SteadyTime now, core::WallTime wall);

  std::shared_ptr<TrustStores::Ground> ground_;
  std::unique_ptr<TrustSource> source_;
  Loaded store_;  // Null: not read yet.
  std::uint64_t generation_ = 0;
  std::string stamp_;  // Of what was loaded.
  core::SteadyTime look_at_ = core::kNoSteadyTime;
};

}  // namespace watchwheel::checker
