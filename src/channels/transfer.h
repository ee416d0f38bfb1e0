// SPDX-License-Identifier: Apache-2.0
// channels/transfer.h - one request or one mail over libcurl.
//
// The address guard is asked about the very address that is connected to, after the name was looked up: a name that means
// something else the next time gets nobody past it. Every transfer has a connection of its own, so that none goes over one
// that another target's allow list let through. No proxy of the environment, no redirect, TLS 1.2 at least and always
// verified.
//
// Owns     the easy handle and what it points to.
// Thread   one, for every call and callback.
// Bounded  kAnswerBytesMax of an answer are read, kSaidBytesMax of them kept.
// Fails    begin(): false where libcurl has no memory. No callback throws.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "channels/prepare.h"
#include "channels/verdict.h"
#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::channels {

inline constexpr std::size_t kAnswerBytesMax = 64 * 1024;
inline constexpr std::size_t kSaidBytesMax = 1024;

class Transfer : core::Pinned {
 public:
  // `tag`: whose it is, for whoever reads the multi handle's messages. `allow` outlives it.
  Transfer(void* tag, const std::vector<checker::Cidr>& allow, std::string ca_file,
           core::Duration timeout);

  [[nodiscard]] bool begin(HttpRequest request);
  [[nodiscard]] bool begin(MailRequest request);

  [[nodiscard]] CURL* easy() const { return easy_.get(); }
  // Before the handle is removed from its multi handle.
  [[nodiscard]] TransferEnd end(CURLcode code) const;

 private:
  struct Free {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  using List = std::unique_ptr<curl_slist, Free>;

  [[nodiscard]] bool set_common(const std::string& url, const char* protocols);
  [[nodiscard]] static bool append(List& list, const std::string& text);
  void take_header(std::string_view line) noexcept;
  [[nodiscard]] bool is_enough(CURLcode code) const;

  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  static std::size_t on_header(char* data, std::size_t size, std::size_t count,
                               void* self) noexcept;
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static int on_debug(CURL* easy, curl_infotype type, char* data, std::size_t size,
                      void* self) noexcept;
  static std::size_t on_read(char* into, std::size_t size, std::size_t count, void* self) noexcept;

  void* tag_;
  const std::vector<checker::Cidr>& allow_;
  const std::string ca_file_;
  const core::Duration timeout_;
  bool mail_ = false;

  // Before the handle: it points to them.
  std::string body_;
  std::size_t sent_ = 0;
  List headers_;
  List recipient_;
  std::array<char, CURL_ERROR_SIZE> error_{};

  std::string retry_after_;
  std::string said_;
  std::size_t answer_bytes_ = 0;
  bool recipient_asked_ = false;  // Mail: its server has heard whom it is for.
  std::string blocked_;  // Why the guard let an address not be asked.

  std::unique_ptr<CURL, Free> easy_;
};

}  // namespace watchwheel::channels
