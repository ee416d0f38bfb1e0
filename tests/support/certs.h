// SPDX-License-Identifier: Apache-2.0
// support/certs.h - certificates made by a test: authorities, intermediates, and leaves with
// whatever is wrong with them.
//
// Owns     keys and certificates, and one temporary file for each authority whose ca_file() was
//          asked; removed with it.
// Fails    by exception: a test that has no certificates has nothing to say.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

struct evp_pkey_st;
struct x509_st;

namespace watchwheel::testing {

// A private key and the certificates a server sends with it, the leaf first. Shared; immutable.
struct Certificate {
  std::shared_ptr<evp_pkey_st> key;
  std::vector<std::shared_ptr<x509_st>> chain;
};

enum class KeyKind { Ec256, Ec384, Ec521, Ed25519, Rsa512, Rsa1024, Rsa2048, RsaPss2048 };
enum class HashKind { Sha256, Sha1, Md5 };

// An extension as OpenSSL's configuration files write it: {"extendedKeyUsage", "clientAuth"}.
struct Extension {
  std::string name;
  std::string value;
};

struct CertSpec {
  std::string common_name = "shop.example";
  // Subject alternative names. None of either kind: no such extension.
  std::vector<std::string> dns_names{};
  std::vector<std::string> ips{};
  // From now; a negative `valid_for` makes it expired.
  std::chrono::seconds valid_from = std::chrono::hours{-24};
  std::chrono::seconds valid_for = std::chrono::hours{24 * 90};
  KeyKind key = KeyKind::Ec256;
  HashKind hash = HashKind::Sha256;  // Of the issuer's signature.
  // Of intermediates: whether they say that they are authorities, and how many may be below them (-1: any number).
  bool authority = true;
  int path_length = -1;
  std::vector<Extension> extensions{};
};

class Authority {
 public:
  // A root, valid for ten years.
  explicit Authority(const std::string& common_name);
  // A root as `spec` says.
  explicit Authority(const CertSpec& spec);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // An authority signed by this one; what it issues comes with its own certificate in the chain.
  [[nodiscard]] std::unique_ptr<Authority> intermediate(const CertSpec& spec) const;
  [[nodiscard]] Certificate issue(const CertSpec& spec) const;
  // The same, with the intermediates left out of the chain.
  [[nodiscard]] Certificate issue_without_chain(const CertSpec& spec) const;

  // A certificate of this authority for the name and key of another, as when one root vouches for the next.
  [[nodiscard]] std::shared_ptr<x509_st> cross_sign(const Authority& other,
                                                    const CertSpec& spec) const;
  [[nodiscard]] std::shared_ptr<x509_st> certificate() const;

  // A PEM file with this authority's own certificate: for CheckOptions::ca_file.
  [[nodiscard]] const std::string& ca_file() const;

 private:
  struct Impl;
  explicit Authority(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

[[nodiscard]] Certificate self_signed(const CertSpec& spec);
// Writes the chain as PEM to a file of that path.
void write_pem(const Certificate& certificate, const std::string& path);
// Writes the private key as PEM; encrypted when there is a password.
void write_key(const Certificate& certificate, const std::string& path,
               const std::string& password = "");
// The same certificates with a key that only claims to be theirs: what it signs does not verify.
[[nodiscard]] Certificate without_its_key(const Certificate& certificate);
// The certificate with the last bit of its signature turned over.
[[nodiscard]] std::shared_ptr<x509_st> forged(const std::shared_ptr<x509_st>& certificate);

}  // namespace watchwheel::testing
