// SPDX-License-Identifier: Apache-2.0
#include "app/doc_tree.h"

#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace watchwheel::app {
namespace {

constexpr std::size_t kNoKey = static_cast<std::size_t>(-1);

std::size_t index_of(const DocNode& map, std::string_view key) {
  for (std::size_t i = map.keys.size(); i > 0; --i) {
    if (map.keys[i - 1].first == key) return i - 1;
  }
  return kNoKey;
}

std::string_view view(const yaml_char_t* text) {
  return text == nullptr ? std::string_view()
                         : std::string_view(reinterpret_cast<const char*>(text));
}

class Event {
 public:
  Event() = default;
  ~Event() { drop(); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  [[nodiscard]] bool next(yaml_parser_t& parser) {
    drop();
    held_ = yaml_parser_parse(&parser, &event_) == 1;
    return held_;
  }
  [[nodiscard]] const yaml_event_t& get() const { return event_; }
  [[nodiscard]] std::uint32_t line() const {
    return static_cast<std::uint32_t>(event_.start_mark.line + 1);
  }

 private:
  void drop() {
    if (held_) yaml_event_delete(&event_);
    held_ = false;
  }
  yaml_event_t event_{};
  bool held_ = false;
};

class Builder {
 public:
  Builder(const std::string& file, const std::string& text) : file_(file) {
    ready_ = yaml_parser_initialize(&parser_) == 1;
    if (ready_)
      yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                   text.size());
  }
  ~Builder() {
    if (ready_) yaml_parser_delete(&parser_);
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  std::variant<DocNode, Problem> build() {
    DocNode root;
    if (!ready_) return Problem{file_, 0, 0, Severity::Error, "no memory to read it"};
    while (next()) {
      switch (event_.get().type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
          continue;
        case YAML_STREAM_END_EVENT:
        case YAML_DOCUMENT_END_EVENT:
          return root;
        default:
          if (!value(root, 0)) return *problem_;
      }
    }
    return *problem_;
  }

 private:
  bool fail(std::uint64_t line, std::uint64_t column, std::string message) {
    if (!problem_) problem_ = Problem{file_, line, column, Severity::Error, std::move(message)};
    return false;
  }

  bool next() {
    if (event_.next(parser_)) return true;
    const std::string what = parser_.problem == nullptr ? "it cannot be read" : parser_.problem;
    return fail(parser_.problem_mark.line + 1, parser_.problem_mark.column + 1,
                "neither YAML nor JSON: " + printable(what) + "; is it another --format?");
  }

  bool counted(std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ <= kDocNodesMax) return true;
    return fail(event_.line(), 0,
                "more than " + std::to_string(kDocNodesMax) + " values; split the file");
  }

  // The value that the current event begins.
  bool value(DocNode& node, std::size_t depth) {
    if (depth > kDocDepthMax)
      return fail(event_.line(), 0, "nested deeper than any such file is; is it damaged?");
    if (!counted(1)) return false;
    node.line = event_.line();
    const yaml_event_t& event = event_.get();
    switch (event.type) {
      case YAML_SCALAR_EVENT: {
        scalar(node, event);
        return remember(view(event.data.scalar.anchor), node);
      }
      case YAML_ALIAS_EVENT:
        return alias(node, std::string(view(event.data.alias.anchor)));
      case YAML_SEQUENCE_START_EVENT: {
        const std::string anchor(view(event.data.sequence_start.anchor));
        return list(node, depth) && remember(anchor, node);
      }
      case YAML_MAPPING_START_EVENT: {
        const std::string anchor(view(event.data.mapping_start.anchor));
        return map(node, depth) && remember(anchor, node);
      }
      default:
        return fail(event_.line(), 0, "a value is missing here");
    }
  }

  static void scalar(DocNode& node, const yaml_event_t& event) {
    node.quoted = event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node.text.assign(reinterpret_cast<const char*>(event.data.scalar.value),
                     event.data.scalar.length);
    const bool null =
        !node.quoted && (node.text.empty() || node.text == "~" || node.text == "null" ||
                         node.text == "Null" || node.text == "NULL");
    node.kind = null ? DocNode::Kind::Null : DocNode::Kind::Scalar;
    if (null) node.text.clear();
  }

  bool list(DocNode& node, std::size_t depth) {
    node.kind = DocNode::Kind::List;
    while (next()) {
      if (event_.get().type == YAML_SEQUENCE_END_EVENT) return true;
      if (!value(node.items.emplace_back(), depth + 1)) return false;
    }
    return false;
  }

  bool map(DocNode& node, std::size_t depth) {
    node.kind = DocNode::Kind::Map;
    std::vector<DocNode> merged;
    while (next()) {
      if (event_.get().type == YAML_MAPPING_END_EVENT) return merge(node, merged);
      DocNode key;
      if (!value(key, depth + 1) || !next()) return false;
      DocNode inner;
      if (!value(inner, depth + 1)) return false;
      if (key.text == "<<" && !key.quoted) {
        if (inner.is_list()) {
          for (DocNode& one : inner.items) merged.push_back(std::move(one));
        } else {
          merged.push_back(std::move(inner));
        }
        continue;
      }
      node.keys.emplace_back(std::move(key.text), key.line);
      node.items.push_back(std::move(inner));
    }
    return false;
  }

  // YAML's `<<`: what the map does not say itself.
  static bool merge(DocNode& node, const std::vector<DocNode>& merged) {
    for (const DocNode& other : merged) {
      if (!other.is_map()) continue;
      for (std::size_t i = 0; i < other.keys.size(); ++i) {
        if (index_of(node, other.keys[i].first) != kNoKey) continue;
        node.keys.push_back(other.keys[i]);
        node.items.push_back(other.items[i]);
      }
    }
    return true;
  }

  static std::size_t size_of(const DocNode& node) {
    std::size_t nodes = 1;
    for (const DocNode& item : node.items) nodes += size_of(item);
    return nodes;
  }

  bool remember(std::string_view anchor, const DocNode& node) {
    if (anchor.empty()) return true;
    if (!counted(size_of(node))) return false;
    anchors_[std::string(anchor)] = node;
    return true;
  }

  bool alias(DocNode& node, const std::string& anchor) {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end())
      return fail(event_.line(), 0, "*" + printable(anchor, 40) + " is not defined above");
    if (!counted(size_of(known->second))) return false;
    const std::uint32_t line = node.line;
    node = known->second;
    node.line = line;
    return true;
  }

  const std::string& file_;
  yaml_parser_t parser_{};
  bool ready_ = false;
  Event event_;
  std::size_t nodes_ = 0;
  std::map<std::string, DocNode> anchors_;
  std::optional<Problem> problem_;
};

std::optional<std::uint32_t> escape_at(std::string_view text, std::size_t at) {
  if (text.size() - at < 6 || text[at] != '\\' || text[at + 1] != 'u') return std::nullopt;
  std::uint32_t code = 0;
  const char* begin = text.data() + at + 2;
  const auto [end, error] = std::from_chars(begin, begin + 4, code, 16);
  if (error != std::errc{} || end != begin + 4) return std::nullopt;
  return code;
}

void append_utf8(std::string& out, std::uint32_t code) {
  out += static_cast<char>(0xf0U | (code >> 18U));
  out += static_cast<char>(0x80U | ((code >> 12U) & 0x3fU));
  out += static_cast<char>(0x80U | ((code >> 6U) & 0x3fU));
  out += static_cast<char>(0x80U | (code & 0x3fU));
}

}  // namespace

const DocNode* DocNode::find(std::string_view key) const {
  if (!is_map()) return nullptr;
  const std::size_t at = index_of(*this, key);
  return at == kNoKey || items[at].kind == Kind::Null ? nullptr : &items[at];
}

std::string DocNode::text_at(std::string_view key) const {
  const DocNode* at = find(key);
  return at != nullptr && at->is_scalar() ? at->text : std::string();
}

bool DocNode::is_true() const {
  static constexpr std::string_view kTrue[] = {"true", "True", "TRUE", "yes", "Yes",
                                               "on",   "On",   "1",    "y",   "Y"};
  return is_scalar() && std::find(std::begin(kTrue), std::end(kTrue), text) != std::end(kTrue);
}

std::string join_surrogates(std::string text) {
  if (text.find("\\ud") == std::string::npos && text.find("\\uD") == std::string::npos) return text;
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at++];
      continue;
    }
    const auto high = escape_at(text, at);
    const auto low = high && text.size() - at >= 12 ? escape_at(text, at + 6) : std::nullopt;
    if (high && low && *high >= 0xd800 && *high < 0xdc00 && *low >= 0xdc00 && *low < 0xe000) {
      append_utf8(out, 0x10000 + ((*high - 0xd800) << 10U) + (*low - 0xdc00));
      at += 12;
    } else {  // Two bytes, so that the second backslash of `\\` begins nothing.
      out += text.substr(at, 2);
      at += 2;
    }
  }
  return out;
}

std::variant<DocNode, Problem> read_document(const std::string& file, std::string text) {
  if (text.size() > kDocBytesMax)
    return Problem{file, 0, 0, Severity::Error, "larger than 64 MiB; split the file"};
  if (std::size_t bad_at = 0; !is_utf8(text, &bad_at)) {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad_at), '\n');
    return Problem{file, static_cast<std::uint64_t>(line), 0, Severity::Error,
                   "not UTF-8; save the file as UTF-8"};
  }
  text = join_surrogates(std::move(text));
  return Builder(file, text).build();
}

}  // namespace watchwheel::app
