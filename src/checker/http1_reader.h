// SPDX-License-Identifier: Apache-2.0
// checker/http1_reader.h - one HTTP/1.x response out of bytes that come in pieces of any size.
//
// A value with state, for one response; pure, any thread.
// Bounded  the header as head_check.h says; what is held back between two pieces is at most one line: kHeadBytesMax of header,
//          kChunkLineBytesMax of a chunk's. Body bytes are never kept. Chunk lines and trailers have limits of their own, and
//          the body's is its reader's.
// Fails    take() says Bad, problem() why; after that nothing more may be taken.
// Cost     each byte of the header is looked at about twice, a byte of the body once where it is chunked and else never.
//
// What a header may hold is HeadCheck's to say. Here is where a response ends, as RFC 9112 section 6.3 and libcurl have it:
//
// no body       HEAD; 204 and 304, whatever their header promises.
// chunked       Transfer-Encoding wins over any length. A size is 1 to 16 hexadecimal digits, at most 2^63 - 1; whatever follows
//               on its line is an extension, and not looked at. Behind a chunk comes its line end, and nothing else. Lines may end
//               in a bare LF. A CR inside a trailer is a violation.
// by length     What comes beyond it is not the response's.
// by its end    Nothing says where it ends, so that the connection's end does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "checker/head_check.h"
#include "checker/trace_lines.h"

namespace watchwheel::checker {

inline constexpr std::size_t kChunkLineBytesMax = 16 * 1024;
inline constexpr std::size_t kTrailerBytesMax = 4096;  // One of them.

class Http1Reader {
 public:
  enum class Step : std::uint8_t {
    More,  // All was taken; the response goes on.
    Head,  // The final response's header is complete. What follows it was not looked at yet.
    Body,  // `body` is the next piece of the body, never empty: a part of the bytes given.
    Done,  // The response is complete; what is left of the bytes is not its.
    Bad,
  };

  // `asked_head`: the answer to a HEAD, which has no body.
  explicit Http1Reader(bool asked_head = false) : asked_head_(asked_head) {}

  // Keeps in head().asked what these rules ask for; they outlive it.
  void keep_for(const ContentRules& rules) { head_.keep_for(rules); }
  // Keeps every header line and trailer in `lines`, which outlives it.
  void keep_lines(TraceLines& lines) { lines_ = &lines; }

  // Takes from the front of `bytes` until there is something to tell; to be called again after Head and Body, with what is left
  // or with what came next, Body's piece used. How the bytes are cut into pieces makes no difference, but for
  // the pieces of the body.
  [[nodiscard]] Step take(std::string_view& bytes, std::string_view& body);

  // The connection has ended here in good order: is that the response's end? Done too.
  [[nodiscard]] bool may_end_here() const {
    // The last LF of chunks is missed by nobody; libcurl neither.
    return state_ == State::Done || state_ == State::UntilEnd ||
           (state_ == State::Trailer && partial_ == "\r");
  }

  // Something came, be it less than a line.
  [[nodiscard]] bool begun() const { return begun_; }
  // Of whole lines: head().bytes(). Whole: head().complete().
  [[nodiscard]] const HeadCheck& head() const { return head_; }
  [[nodiscard]] HeadCheck& head() { return head_; }
  // Of the body, without its chunks' lines.
  [[nodiscard]] std::uint64_t body_bytes() const { return body_bytes_; }
  // As the header promises; nothing when chunked, when it gives no length, or before Head.
  [[nodiscard]] std::optional<std::uint64_t> body_expected() const { return expected_; }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  // What is Bad is in how the chunks are told apart, not in a line.
  [[nodiscard]] bool chunks_broken() const { return chunks_broken_; }

 private:
  enum class State : std::uint8_t {
    Head,
    ByLength,
    UntilEnd,
    ChunkSize,  // In the digits.
    ChunkRest,  // Behind them, until LF.
    ChunkBytes,
    ChunkEnd,  // CR, LF.
    Trailer,   // At the beginning of a line, or in it.
    Done,
    Bad,
  };

  [[nodiscard]] Step bad(std::string problem);
  [[nodiscard]] Step bad_chunk(std::string_view problem);
  [[nodiscard]] Step take_head(std::string_view& bytes);
  [[nodiscard]] Step take_body(std::string_view& bytes, std::string_view& body);
  [[nodiscard]] Step take_chunk_size(std::string_view& bytes);
  [[nodiscard]] Step take_chunk_rest(std::string_view& bytes);
  [[nodiscard]] Step take_chunk_end(std::string_view& bytes);
  [[nodiscard]] Step take_trailer(std::string_view& bytes);
  // The next line with its end, out of `bytes` and what was held back; nothing: it is not whole yet, and all is held back.
  // To be followed by partial_.clear() when it has been used.
  [[nodiscard]] std::optional<std::string_view> next_line(std::string_view& bytes);
  [[nodiscard]] bool begins_as_http(std::string_view bytes) const;
  [[nodiscard]] Step begin_body();

  HeadCheck head_;
  TraceLines* lines_ = nullptr;  // Null: nobody asked.
  State state_ = State::Head;
  bool asked_head_;
  bool begun_ = false;
  bool at_status_line_ = true;
  bool chunks_broken_ = false;
  std::uint8_t digits_ = 0;     // Of the chunk's size.
  std::uint64_t left_ = 0;      // Of the body by length, or of the chunk.
  std::size_t chunk_line_ = 0;  // Bytes of the line of the chunk's size.
  std::uint64_t body_bytes_ = 0;
  std::optional<std::uint64_t> expected_;
  std::string partial_;  // Of a line.
  std::string problem_;
};

}  // namespace watchwheel::checker
