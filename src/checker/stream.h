// SPDX-License-Identifier: Apache-2.0
// checker/stream.h - bytes to and from a connected socket, in clear text or through TLS, without ever waiting.
//
// Owns     the socket from open() on, and the TLS session.
// Thread   the lane's.
// Bounded  no call takes more than some 64 KiB from the socket, whatever a server sends that is no answer; a TLS session takes some 40 KiB, less while it waits (its buffers are given back); what TLS has to say is sent at
//          once, or held back where the socket is full: some KiB, as the request is all that anybody sends.
// Fails    as a Step; os_errno() and error_text() say how. The errors of OpenSSL's queue are taken out of it.
//
// A TLS session may be busy with itself while we want to send or receive (renegotiation, new keys, tickets, a certificate asked
// for late): every function may then want either direction, and is called again with the same bytes. The last word of a handshake
// goes out together with the request.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/pinned.h"

struct ssl_st;
struct ssl_ctx_st;

namespace watchwheel::checker {

class Stream : core::Pinned {
 public:
  enum class Step : std::uint8_t {
    Done,
    WantsRead,   // Call again when the socket can be read,
    WantsWrite,  // or written.
    Ended,       // The other side has ended the connection, without an error.
    Failed,
  };

  ~Stream() { close(); }

  void open(int fd) { fd_ = fd; }
  // Through TLS from now on. False: no memory. `host` is told to the server; "": an address, which is not.
  [[nodiscard]] bool begin_tls(ssl_ctx_st* context, const std::string& host);
  [[nodiscard]] ssl_st* session() const { return session_.get(); }
  void close();

  // Goes on with the TLS handshake. Done: its last word may still be here, send() comes next.
  [[nodiscard]] Step shake();
  // Takes what was sent off the front of `bytes`. Done: nothing is left.
  [[nodiscard]] Step send(std::string_view& bytes);
  // At most as much as there is room for. Done: `got` bytes are there, at least one.
  [[nodiscard]] Step receive(std::span<char> room, std::size_t& got);
  // There may be bytes that the socket will not tell of: they were taken from it already.
  [[nodiscard]] bool holds_bytes() const;

  [[nodiscard]] int fd() const { return fd_; }
  // Anything at all went out.
  [[nodiscard]] bool sent_any() const { return sent_any_; }
  // Of the last Failed: the error of a system call, or 0.
  [[nodiscard]] int os_errno() const { return os_errno_; }
  // Of the last Failed: "error:0A00018A:SSL routines::…", or "".
  [[nodiscard]] const std::string& error_text() const { return error_text_; }

 private:
  struct SessionDeleter {
    void operator()(ssl_st* session) const;
  };
  friend struct StreamBio;
  [[nodiscard]] Step failed(int os_errno);
  // What a call of TLS came to; what it had to say is sent first.
  [[nodiscard]] Step step_of(int returned);
  [[nodiscard]] Step flush();

  int fd_ = -1;
  int reads_left_ = 0;     // Of the socket, in the call of TLS under way.
  bool read_end_ = false;  // The socket said that nothing more comes,
  int read_errno_ = 0;     // or failed. Of the call of TLS under way.
  std::string out_;        // TLS records that wait to be sent.
  std::size_t out_sent_ = 0;
  std::unique_ptr<ssl_st, SessionDeleter> session_;  // Null: clear text.
  bool sent_any_ = false;
  int os_errno_ = 0;
  std::string error_text_;
};

}  // namespace watchwheel::checker
