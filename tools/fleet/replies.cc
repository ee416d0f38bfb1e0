// SPDX-License-Identifier: Apache-2.0
#include "fleet/replies.h"

#include <zlib.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace watchwheel::fleet {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kSentence =
    "Fresh bread every morning, delivered to your door before eight. We bake with flour from three "
    "mills in the valley, and the oven has not gone out since spring. ";
constexpr std::string_view kClosing = "</p></main></body></html>\n";
constexpr std::string_view kErrorPage =
    "<!DOCTYPE html>\n<html lang=\"en-US\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" "
    "content=\"noindex, follow\"><title>Error establishing a database connection</title></head>\n"
    "<body id=\"error-page\"><div class=\"wp-die-message\"><h1>Error establishing a database "
    "connection</h1></div></body></html>\n";
constexpr std::string_view kQuote =
    "Last week our shop said &#8220;Error establishing a database connection&#8221;, and even "
    "&#8220;500 Internal Server Error&#8221;; here is what we learnt from it. ";
// Not text, not a status line, and no newline that would look like the end of one.
constexpr std::string_view kGarbage =
    "\x16\x00\x1f\x8b\xff\xfe garbage \x01\x02\x03\x04\x7f\x00zz"sv;
constexpr std::uint32_t kTruncatedBy = 512;

__attribute__((format(printf, 2, 3))) void append(Reply& out, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const std::size_t room = out.front.size() - out.front_length;
  const int written = std::vsnprintf(out.front.data() + out.front_length, room, format, arguments);
  va_end(arguments);
  // Every format here is far below the room; cut rather than overrun should one ever grow.
  if (written > 0) out.front_length += std::min(static_cast<std::size_t>(written), room - 1);
}

void append_bytes(Reply& out, std::string_view bytes) {
  const std::size_t size = std::min(bytes.size(), out.front.size() - out.front_length);
  std::copy_n(bytes.begin(), size, out.front.begin() + static_cast<std::ptrdiff_t>(out.front_length));
  out.front_length += size;
}

const char* connection_field(const ReplyWish& wish) {
  return wish.keep_alive ? "" : "Connection: close\r\n";
}

void append_head(Reply& out, const char* status, const char* extra, const ReplyWish& wish,
                 std::uint64_t length) {
  append(out,
         "HTTP/1.1 %s\r\nServer: fleet\r\nContent-Type: text/html; charset=utf-8\r\n"
         "Content-Length: %llu\r\n%s%s\r\n",
         status, static_cast<unsigned long long>(length), extra, connection_field(wish));
}

// A small page that says `text`, for every answer that is not a full page.
void make_short(Reply& out, const char* status, const char* extra, const char* text,
                const ReplyWish& wish) {
  std::array<char, 160> body{};
  const int length = std::snprintf(body.data(), body.size(),
                                   "<!DOCTYPE html><title>%s</title><h1>%s</h1>\n", text, text);
  append_head(out, status, extra, wish, static_cast<std::uint64_t>(length));
  if (!wish.head_only) append(out, "%s", body.data());
  out.end = wish.keep_alive ? ReplyEnd::Keep : ReplyEnd::Close;
}

// What a page says before the text that all pages share.
std::array<char, 512> page_front(const ReplyWish& wish, std::size_t& length) {
  std::array<char, 512> text{};
  const std::string_view quote = wish.kind == FaultKind::ArticleOk ? kQuote : std::string_view{};
  const int written = std::snprintf(
      text.data(), text.size(),
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Site %u</title>"
      "</head>\n<body><main><h1>Site %u</h1><p>all good here</p>\n<p>%.*s",
      wish.site, wish.site, static_cast<int>(quote.size()), quote.data());
  length = written > 0 ? std::min(static_cast<std::size_t>(written), text.size() - 1) : 0;
  return text;
}

// Blocks of compressed zeros that need nothing from the ones before, so that they can be sent again and again.
std::string repeatable_zeros() {
  constexpr std::size_t kZeros = 1024 * 1024;
  const std::string zeros(kZeros, '\0');
  std::string out(kZeros, '\0');
  z_stream stream{};
  // A negative window: no header, which goes before the first block only.
  if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zeros.data()));
  stream.avail_in = kZeros;
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = kZeros;
  (void)deflate(&stream, Z_FULL_FLUSH);
  out.resize(stream.total_out);
  (void)deflateEnd(&stream);
  return out;
}

void repeat_to(std::string& text, std::size_t bytes) {
  const std::string once = text;
  while (!once.empty() && text.size() < bytes) text += once;
}

}  // namespace

ReplyMaker::ReplyMaker(std::uint32_t body_bytes) : body_bytes_(body_bytes) {
  endless_head_ = "X-And-Another: of which there is no end\r\n";
  endless_body_ = kSentence;
  bomb_ = repeatable_zeros();
  for (std::string* text : {&endless_head_, &endless_body_, &bomb_}) repeat_to(*text, kLapBytes);
  while (filler_.size() + kClosing.size() < body_bytes) filler_ += kSentence;
  filler_.resize(body_bytes - kClosing.size());
  filler_ += kClosing;
  std::array<char, 24> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", filler_.size());
  chunked_ = size.data() + filler_ + "\r\n0\r\n\r\n";
}

void ReplyMaker::make_page(const ReplyWish& wish, Reply& out) const {
  std::size_t length = 0;
  const auto front = page_front(wish, length);
  append_head(out, "200 OK", "", wish, body_bytes_);
  out.end = wish.keep_alive ? ReplyEnd::Keep : ReplyEnd::Close;
  if (wish.head_only) return;
  append(out, "%s", front.data());
  // The end of the filler, so that every page has the same size whatever its number.
  out.shared = std::string_view(filler_).substr(length);
}

void ReplyMaker::make_chunked(const ReplyWish& wish, Reply& out) const {
  std::size_t length = 0;
  const auto front = page_front(wish, length);
  append(out,
         "HTTP/1.1 200 OK\r\nServer: fleet\r\nContent-Type: text/html; charset=utf-8\r\n"
         "Transfer-Encoding: chunked\r\n%s\r\n",
         connection_field(wish));
  out.end = wish.keep_alive ? ReplyEnd::Keep : ReplyEnd::Close;
  if (wish.head_only) return;
  append(out, "%zx\r\n%s\r\n", length, front.data());
  if (wish.kind == FaultKind::BadChunks) {
    append(out, "not-a-size\r\n");
    out.end = ReplyEnd::Close;
    return;
  }
  out.shared = chunked_;
}

void ReplyMaker::make(const ReplyWish& wish, Reply& out) const {
  out.front_length = 0;
  out.shared = {};
  out.end = ReplyEnd::Close;
  if (wish.site == kNoSite) {
    return make_short(out, "421 Misdirected Request", "", "No such site here", wish);
  }
  switch (wish.kind) {
    case FaultKind::Status500:
      return make_short(out, "500 Internal Server Error", "", "Internal Server Error", wish);
    case FaultKind::Status404:
      return make_short(out, "404 Not Found", "", "Not Found", wish);
    case FaultKind::RedirectLoop:
      return make_short(out, "302 Found", "Location: /hop/loop\r\n", "Moved", wish);
    case FaultKind::RedirectInvalid:
      return make_short(out, "302 Found", "Location: http://[not-an-address/\r\n", "Moved", wish);
    case FaultKind::RedirectOk:
      if (wish.is_hop) return make_page(wish, out);
      return make_short(out, "301 Moved Permanently", "Location: /hop/page\r\n", "Moved", wish);
    case FaultKind::NoAnswer:
      out.end = ReplyEnd::Hold;
      return;
    case FaultKind::Reset:
      out.end = ReplyEnd::Reset;
      return;
    case FaultKind::Closed:
      return;
    case FaultKind::Garbage:
      out.shared = kGarbage;
      return;
    case FaultKind::ErrorPage:
      append_head(out, "200 OK", "", wish, kErrorPage.size());
      if (!wish.head_only) out.shared = kErrorPage;
      out.end = wish.keep_alive ? ReplyEnd::Keep : ReplyEnd::Close;
      return;
    case FaultKind::Truncated: {
      make_page(wish, out);
      // Promise more than there is, rather than cut: a page may be smaller than the cut.
      out.front_length = 0;
      append_head(out, "200 OK", "", wish, body_bytes_ + kTruncatedBy);
      std::size_t length = 0;
      if (!wish.head_only) append(out, "%s", page_front(wish, length).data());
      out.end = ReplyEnd::Close;
      return;
    }
    case FaultKind::SlowBody:
      append_head(out, "200 OK", "", wish, body_bytes_);
      out.end = wish.head_only ? ReplyEnd::Close : ReplyEnd::Drip;
      return;
    case FaultKind::EndlessHead:
      append(out, "HTTP/1.1 200 OK\r\n");
      out.shared = endless_head_;
      out.end = ReplyEnd::Again;
      return;
    case FaultKind::EndlessBody:
    case FaultKind::GzipBomb: {
      const bool bomb = wish.kind == FaultKind::GzipBomb;
      // The ten bytes of a gzip header: no name, no time.
      append(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%sConnection: close\r\n\r\n",
             bomb ? "Content-Encoding: gzip\r\n" : "");
      if (wish.head_only) return;
      if (bomb) append_bytes(out, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"sv);
      out.shared = bomb ? bomb_ : endless_body_;
      out.end = ReplyEnd::Again;
      return;
    }
    case FaultKind::BadChunks:
    case FaultKind::ChunkedOk:
      return make_chunked(wish, out);
    default:
      return make_page(wish, out);
  }
}

}  // namespace watchwheel::fleet
