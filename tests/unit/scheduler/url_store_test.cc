// SPDX-License-Identifier: Apache-2.0
#include "scheduler/url_store.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace watchwheel::scheduler {
namespace {

TEST(UrlStore, KeepsTextsOfEveryLength) {
  UrlStore store;
  std::vector<UrlStore::Ref> refs;
  for (std::size_t n = 0; n <= core::kUrlBytesMax; ++n)
    refs.push_back(store.put(std::string(n, static_cast<char>('a' + n % 26))));
  for (std::size_t n = 0; n <= core::kUrlBytesMax; ++n) {
    ASSERT_EQ(store.get(refs[n]), std::string(n, static_cast<char>('a' + n % 26)));
  }
}

TEST(UrlStore, UsesRoomOfTheSameSizeAgain) {
  UrlStore store;
  const UrlStore::Ref kept = store.put("http://kept.example/");
  const std::size_t before = store.bytes();
  for (int i = 0; i < 100'000; ++i)
    store.drop(store.put("http://site-" + std::to_string(100'000 + i) + ".example/"));
  EXPECT_EQ(store.bytes(), before);
  EXPECT_EQ(store.get(kept), "http://kept.example/");
}

TEST(UrlStore, TellsWhatIsUsedAndWhatIsWasted) {
  UrlStore store;
  const UrlStore::Ref a = store.put("0123456789");  // 2 + 10, in units of 8: 16.
  EXPECT_EQ(store.used(), 16U);
  store.drop(a);
  EXPECT_EQ(store.used(), 0U);
  EXPECT_EQ(store.wasted(), 16U);
  (void)store.put("012345");  // Another size: it does not fit there.
  EXPECT_EQ(store.wasted(), 16U);
  (void)store.put("9876543210");
  EXPECT_EQ(store.wasted(), 0U);
}

TEST(UrlStoreDeathTest, ATextThatIsTooLongIsOurMistake) {
  UrlStore store;
  EXPECT_DEATH((void)store.put(std::string(core::kUrlBytesMax + 1, 'x')),
               "longer than was allowed in");
}

}  // namespace
}  // namespace watchwheel::scheduler
