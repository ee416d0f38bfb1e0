// SPDX-License-Identifier: Apache-2.0
#include "checker/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace watchwheel::checker {
namespace {

// Else a server that sends tickets for ever keeps one call busy for ever.
constexpr int kReadsPerCall = 4;

// Where more than one piece is sent before an answer: else the last of them waits until the first is acknowledged, which takes a
// server its time. For the one piece of a plain request it is a system call for nothing.
constexpr std::size_t kOnePiece = 512;  // Fits a segment on every way.

void send_without_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// The first error that TLS itself speaks of, else the first: what comes after it only repeats it at a higher level. Empties the
// queue.
unsigned long take_error() {
  unsigned long first = 0;
  while (const unsigned long error = ERR_get_error()) {
    const bool better = ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_LIB(first) != ERR_LIB_SSL;
    if (first == 0 || better) first = error;
  }
  return first;
}

}  // namespace

// Between TLS and the socket. OpenSSL's own writes each record by itself, and by a call that may raise SIGPIPE.
struct StreamBio {
  static Stream& stream_of(BIO* bio) { return *static_cast<Stream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* into, int size) noexcept {
    Stream& stream = stream_of(bio);
    BIO_clear_retry_flags(bio);
    if (stream.reads_left_-- <= 0) {  // What is left there is told again.
      BIO_set_retry_read(bio);
      return -1;
    }
    for (;;) {
      const ssize_t got = ::recv(stream.fd_, into, static_cast<std::size_t>(size), 0);
      if (got > 0) return static_cast<int>(got);
      if (got == 0) {
        stream.read_end_ = true;
        return 0;
      }
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        BIO_set_retry_read(bio);
      } else {
        stream.read_errno_ = errno;
      }
      return -1;
    }
  }
  // Takes all; step_of() sends it.
  static int write(BIO* bio, const char* from, int size) noexcept {
    stream_of(bio).out_.append(from, static_cast<std::size_t>(size));
    return size;
  }
  static long control(BIO* bio, int what, long /*number*/, void* /*pointer*/) noexcept {
    if (what == BIO_CTRL_EOF) return stream_of(bio).read_end_ ? 1 : 0;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
      if (method == nullptr) return method;
      BIO_meth_set_read(method, &StreamBio::read);
      BIO_meth_set_write(method, &StreamBio::write);
      BIO_meth_set_ctrl(method, &StreamBio::control);
      return method;
    }();
    return made;
  }
  static BIO* make(Stream& stream) {
    BIO* bio = method() == nullptr ? nullptr : BIO_new(method());
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, &stream);
    BIO_set_init(bio, 1);
    return bio;
  }
};

void Stream::SessionDeleter::operator()(ssl_st* session) const {
  // No word of good-bye: nothing is said that anybody would wait for, and a session is never taken up again.
  SSL_free(session);
}

bool Stream::begin_tls(ssl_ctx_st* context, const std::string& host) {
  send_without_delay(fd_);
  session_.reset(SSL_new(context));
  BIO* bio = session_ ? StreamBio::make(*this) : nullptr;
  if (bio == nullptr) return false;
  SSL_set_bio(session_.get(), bio, bio);
  SSL_set_connect_state(session_.get());
  // As SSL_set_tlsext_host_name() has it, whose cast this build does not take.
  std::string name = host;
  const bool named = host.empty() || SSL_ctrl(session_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME,
                                              TLSEXT_NAMETYPE_host_name, name.data()) == 1;
  ERR_clear_error();
  return named;
}

void Stream::close() {
  session_.reset();
  if (fd_ != -1) ::close(fd_);
  fd_ = -1;
  read_end_ = false;
  read_errno_ = 0;
  out_ = std::string{};
  out_sent_ = 0;
  sent_any_ = false;
  os_errno_ = 0;
  error_text_.clear();
}

Stream::Step Stream::failed(int os_errno) {
  os_errno_ = os_errno;
  return Step::Failed;
}

Stream::Step Stream::flush() {
  while (out_sent_ < out_.size()) {
    const ssize_t sent =
        ::send(fd_, out_.data() + out_sent_, out_.size() - out_sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN ? Step::WantsWrite : failed(errno);
    sent_any_ = true;
    out_sent_ += static_cast<std::size_t>(sent);
  }
  out_ = std::string{};
  out_sent_ = 0;
  return Step::Done;
}

Stream::Step Stream::step_of(int returned) {
  const int error = SSL_get_error(session_.get(), returned);
  // Also what TLS says as it fails: the alert that tells the server why.
  const Step flushed = flush();
  switch (error) {
    case SSL_ERROR_WANT_READ:
      return flushed == Step::Done ? Step::WantsRead : flushed;
    case SSL_ERROR_ZERO_RETURN:
      return Step::Ended;
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      return read_errno_ == 0 ? Step::Ended : failed(read_errno_);
    default:
      break;
  }
  const unsigned long first = take_error();
  std::array<char, 256> text{};
  ERR_error_string_n(first, text.data(), text.size());
  error_text_ = text.data();
  return failed(0);
}

Stream::Step Stream::shake() {
  ERR_clear_error();
  read_errno_ = 0;
  reads_left_ = kReadsPerCall;
  const int returned = SSL_do_handshake(session_.get());
  return returned == 1 ? Step::Done : step_of(returned);
}

Stream::Step Stream::send(std::string_view& bytes) {
  if (session_) {
    while (!bytes.empty()) {
      ERR_clear_error();
      read_errno_ = 0;
      reads_left_ = kReadsPerCall;
      std::size_t written = 0;
      const int returned = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &written);
      if (returned != 1) return step_of(returned);
      bytes.remove_prefix(written);
    }
    return flush();
  }
  if (bytes.size() > kOnePiece && !sent_any_) send_without_delay(fd_);
  while (!bytes.empty()) {
    const ssize_t written = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno == EAGAIN ? Step::WantsWrite : failed(errno);
    sent_any_ = true;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return Step::Done;
}

Stream::Step Stream::receive(std::span<char> room, std::size_t& got) {
  got = 0;
  if (session_) {
    if (const Step flushed = flush(); flushed != Step::Done) return flushed;
    ERR_clear_error();
    read_errno_ = 0;
    reads_left_ = kReadsPerCall;
    const int returned = SSL_read_ex(session_.get(), room.data(), room.size(), &got);
    return returned == 1 ? Step::Done : step_of(returned);
  }
  for (;;) {
    const ssize_t read = ::recv(fd_, room.data(), room.size(), 0);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return errno == EAGAIN ? Step::WantsRead : failed(errno);
    got = static_cast<std::size_t>(read);
    return read == 0 ? Step::Ended : Step::Done;
  }
}

bool Stream::holds_bytes() const {
  return session_ && SSL_has_pending(session_.get()) == 1;
}

}  // namespace watchwheel::checker
