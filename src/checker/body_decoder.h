// SPDX-License-Identifier: Apache-2.0
// checker/body_decoder.h - undoes the Content-Encoding of a body as it arrives: gzip and deflate.
//
// Owns     zlib's state, one for each layer.
// Thread   one; a value of its transfer.
// Bounded  kLayersMax layers, about 40 KiB each while a body is read. No layer yields more than it may, nor takes in more, so a
//          bomb costs what a body of max_body costs: Full.
// Fails    Broken, problem() says why; NoMemory is ours.
//
// Not left to libcurl 7.88, which calls a body whole that ends in the middle of its compressed stream, and calls one broken that
// has something behind it. What browsers show is good here too:
//
// whole   several gzip members; anything behind the last one; a gzip or zlib trailer that is missing or cut (old scripts send
//         none); a stream that was never finished but ends right behind a flush (some server software forgets to finish);
//         deflate with or without its zlib wrapper; an empty body.
// broken  another magic, an impossible code, a trailer that is there and does not fit the bytes.
// cut     a stream that ends anywhere else: finished() says no.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::checker {

enum class ContentCoding : std::uint8_t { Gzip, Deflate };

inline constexpr std::size_t kLayersMax = 2;

// The list of a Content-Encoding header, as it was applied; without identity (and "none", which some send). Nothing when one of them
// is not known or there are more than kLayersMax: the body cannot be looked into.
[[nodiscard]] std::optional<std::vector<ContentCoding>> parse_codings(std::string_view header);

// Where decoded bytes go.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void take(std::string_view bytes) noexcept = 0;
};

class BodyDecoder {
 public:
  enum class Step : std::uint8_t {
    More,
    Full,    // `bytes_max` have been given out and there is more.
    Broken,  // No bytes beyond this point can be trusted.
    NoMemory,
  };

  // `codings` in the order of the header, at least one: the last one is undone first. Gives out at most `bytes_max`.
  BodyDecoder(const std::vector<ContentCoding>& codings, std::uint64_t bytes_max);
  ~BodyDecoder();
  BodyDecoder(BodyDecoder&&) noexcept;
  BodyDecoder& operator=(BodyDecoder&&) noexcept;

  // The next piece, of any size. After anything but More nothing more may be fed.
  [[nodiscard]] Step feed(std::string_view piece, ByteSink& sink);
  // The body has ended here: is that an end?
  [[nodiscard]] bool finished() const;
  [[nodiscard]] std::string_view problem() const { return problem_; }

 private:
  class Layer;
  [[nodiscard]] Step run(std::size_t layer, std::string_view piece, ByteSink& sink);

  std::vector<std::unique_ptr<Layer>> layers_;  // The first is fed from outside.
  std::uint64_t bytes_max_;
  std::string problem_;
};

}  // namespace watchwheel::checker
