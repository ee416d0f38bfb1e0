// SPDX-License-Identifier: Apache-2.0
#include "checker/http1_reader.h"

#include <algorithm>
#include <utility>

namespace watchwheel::checker {
namespace {

constexpr std::uint8_t kChunkDigitsMax = 16;

// -1: not one.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Http1Reader::Step Http1Reader::bad(std::string problem) {
  problem_ = std::move(problem);
  state_ = State::Bad;
  return Step::Bad;
}

Http1Reader::Step Http1Reader::bad_chunk(std::string_view problem) {
  chunks_broken_ = true;
  return bad("the chunked body is broken: " + std::string(problem));
}

Http1Reader::Step Http1Reader::take(std::string_view& bytes, std::string_view& body) {
  body = {};
  begun_ = begun_ || !bytes.empty();
  for (;;) {
    Step step = Step::More;
    switch (state_) {
      case State::Done:
        return Step::Done;
      case State::Bad:
        return Step::Bad;
      case State::Head:
        step = take_head(bytes);
        break;
      case State::ByLength:
      case State::UntilEnd:
      case State::ChunkBytes:
        step = take_body(bytes, body);
        break;
      case State::ChunkSize:
        step = take_chunk_size(bytes);
        break;
      case State::ChunkRest:
        step = take_chunk_rest(bytes);
        break;
      case State::ChunkEnd:
        step = take_chunk_end(bytes);
        break;
      case State::Trailer:
        step = take_trailer(bytes);
        break;
    }
    if (step != Step::More || (bytes.empty() && state_ != State::Done)) return step;
  }
}

// ---- lines ----

std::optional<std::string_view> Http1Reader::next_line(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  if (end == std::string_view::npos) {
    partial_.append(bytes);
    bytes = {};
    return std::nullopt;
  }
  std::string_view line = bytes.substr(0, end + 1);
  bytes.remove_prefix(end + 1);
  if (partial_.empty()) return line;
  partial_.append(line);
  return partial_;
}

// Also of less than a line: what never was HTTP need not be waited for.
bool Http1Reader::begins_as_http(std::string_view bytes) const {
  constexpr std::string_view kSign = "HTTP/";
  for (std::size_t i = partial_.size(); i < kSign.size(); ++i) {
    const std::size_t at = i - partial_.size();
    if (at >= bytes.size()) return true;
    const char c = bytes[at];
    if (c != kSign[i] && (c < 'a' || c > 'z' || c - ('a' - 'A') != kSign[i])) return false;
  }
  return true;
}

Http1Reader::Step Http1Reader::take_head(std::string_view& bytes) {
  while (!bytes.empty()) {
    if (at_status_line_ && !begins_as_http(bytes)) return bad("the answer is not HTTP");
    const std::optional<std::string_view> line = next_line(bytes);
    if (!line) {
      if (partial_.size() <= kHeadBytesMax) return Step::More;
      return bad("a line of the response header is too long");
    }
    at_status_line_ = false;
    if (lines_ != nullptr) lines_->add(*line);
    const HeadCheck::Step step = head_.take(*line);
    partial_.clear();
    if (step == HeadCheck::Step::Bad) return bad(head_.problem());
    if (step == HeadCheck::Step::Complete) {
      partial_ = std::string{};  // Given back while the body is waited for.
      return begin_body();
    }
    at_status_line_ = !head_.in_head();  // An interim response has ended.
  }
  return Step::More;
}

Http1Reader::Step Http1Reader::begin_body() {
  const std::uint16_t status = head_.head().status;
  if (asked_head_ || status == 204 || status == 304) {
    state_ = State::Done;
  } else if (head_.chunked()) {
    state_ = State::ChunkSize;
  } else if (const auto length = head_.length()) {
    expected_ = length;
    left_ = *length;
    state_ = left_ == 0 ? State::Done : State::ByLength;
  } else {
    state_ = State::UntilEnd;
  }
  return Step::Head;
}

// ---- the body ----

Http1Reader::Step Http1Reader::take_body(std::string_view& bytes, std::string_view& body) {
  if (bytes.empty()) return Step::More;
  std::size_t size = bytes.size();
  if (state_ != State::UntilEnd) {
    size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size));
    left_ -= size;
    if (left_ == 0) state_ = state_ == State::ByLength ? State::Done : State::ChunkEnd;
  }
  body = bytes.substr(0, size);
  bytes.remove_prefix(size);
  body_bytes_ += size;
  return Step::Body;
}

Http1Reader::Step Http1Reader::take_chunk_size(std::string_view& bytes) {
  while (!bytes.empty()) {
    const int digit = hex_digit(bytes.front());
    if (digit < 0) {
      if (digits_ == 0) return bad_chunk("no size where a chunk should begin");
      state_ = State::ChunkRest;
      chunk_line_ = digits_;
      return Step::More;
    }
    if (++digits_ > kChunkDigitsMax) return bad_chunk("the size of a chunk is too long");
    left_ = (left_ << 4U) | static_cast<std::uint64_t>(digit);
    bytes.remove_prefix(1);
  }
  return Step::More;
}

Http1Reader::Step Http1Reader::take_chunk_rest(std::string_view& bytes) {
  if (left_ > INT64_MAX) return bad_chunk("the size of a chunk is too large");
  const std::size_t end = bytes.find('\n');
  const std::size_t size = end == std::string_view::npos ? bytes.size() : end + 1;
  chunk_line_ += size;
  if (chunk_line_ > kChunkLineBytesMax) return bad_chunk("the line of a chunk's size is too long");
  bytes.remove_prefix(size);
  if (end == std::string_view::npos) return Step::More;
  digits_ = 0;
  state_ = left_ == 0 ? State::Trailer : State::ChunkBytes;
  return Step::More;
}

Http1Reader::Step Http1Reader::take_chunk_end(std::string_view& bytes) {
  while (!bytes.empty()) {
    const char c = bytes.front();
    if (c != '\r' && c != '\n') return bad_chunk("a chunk goes on beyond its size");
    bytes.remove_prefix(1);
    if (c == '\r') continue;  // Any number of them, as libcurl has it.
    state_ = State::ChunkSize;
    return Step::More;
  }
  return Step::More;
}

Http1Reader::Step Http1Reader::take_trailer(std::string_view& bytes) {
  while (!bytes.empty()) {
    const std::optional<std::string_view> line = next_line(bytes);
    const std::string_view text = line.value_or(partial_);
    // The one CR that may be there is the one before LF. Looked for in as many bytes as a trailer may have, so that what is told
    // does not hang on the pieces.
    const std::size_t cr = text.substr(0, kTrailerBytesMax).find('\r');
    if (cr != std::string_view::npos && cr + (line ? 2 : 1) != text.size())
      return bad_chunk("a CR in a trailer");
    if (text.size() > kTrailerBytesMax) return bad_chunk("a trailer is too long");
    if (!line) return Step::More;
    if (text == "\r\n" || text == "\n") {  // No line of the header's number.
      partial_.clear();
      state_ = State::Done;
      return Step::Done;
    }
    if (lines_ != nullptr) lines_->add(text);
    const HeadCheck::Step step = head_.take(text);
    partial_.clear();
    if (step == HeadCheck::Step::Bad) return bad(head_.problem());
  }
  return Step::More;
}

}  // namespace watchwheel::checker
