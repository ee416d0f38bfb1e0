// SPDX-License-Identifier: Apache-2.0
#include "db/legacy_columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::db {
namespace {

using ::testing::HasSubstr;

LegacyColumns columns(bool id_nullable) {
  LegacyColumns all;
  all.add("Id", {.type = "bigint", .nullable = id_nullable});
  all.add("bucket", {.type = "int", .nullable = true});
  all.add("active", {.type = "tinyint"});
  return all;
}

LegacyMapping mapping() {
  LegacyMapping out;
  out.table = "sites";
  out.id = "ID";
  out.bucket = "Bucket";
  out.active = "active";
  return out;
}

// Goal: buckets are only read by an index that gives a bucket's rows in the order of ids. The server ends every index with the
// primary key, which may be another column than the one that the mapping names.
TEST(LegacyIndexes, ABucketIsReadByAnIndexThatEndsWithTheId) {
  struct Case {
    std::vector<LegacyIndex> indexes;
    const char* by_bucket;
    const char* problem;
  };
  const Case cases[] = {
      {{{"PRIMARY", true, "id"}, {"rows", false, "bucket,active"}}, "rows", ""},
      {{{"PRIMARY", true, "id"}, {"rows", false, "bucket,active,id"}}, "rows", ""},
      {{{"PRIMARY", true, "id"}, {"rows", false, "bucket,active,note"}},
       "",
       "ADD INDEX (Bucket, active), or"},
      {{{"PRIMARY", true, "row_no"}, {"u", true, "id"}, {"rows", false, "bucket,active"}},
       "",
       "ADD INDEX (Bucket, active, ID), or"},
      {{{"PRIMARY", true, "row_no"}, {"u", true, "id"}, {"rows", false, "bucket,active,id"}},
       "rows",
       ""},
      {{{"PRIMARY", true, "id,bucket"}, {"u", true, "id"}, {"rows", false, "bucket,active"}},
       "",
       "ADD INDEX (Bucket, active, ID), or"},
      {{{"PRIMARY", true, "id,bucket"}, {"rows", false, "bucket,active,id"}},
       "",
       "neither its primary key nor unique"},
      {{{"u", false, "id"}}, "", "neither its primary key nor unique"},
  };
  for (const Case& one : cases) {
    const LegacyIndexes judged = judge_indexes(mapping(), columns(false), one.indexes);
    EXPECT_EQ(judged.by_bucket, one.by_bucket);
    if (*one.problem == '\0') {
      EXPECT_FALSE(judged.problem) << *judged.problem;
    } else {
      ASSERT_TRUE(judged.problem);
      EXPECT_THAT(*judged.problem, HasSubstr(one.problem));
    }
  }
  const std::vector<LegacyIndex> unique{{"u", true, "id"}, {"rows", false, "bucket,active,id"}};
  EXPECT_TRUE(judge_indexes(mapping(), columns(true), unique).problem);
  LegacyMapping flat = mapping();
  flat.bucket = "";
  EXPECT_FALSE(judge_indexes(flat, columns(false), unique).problem);
}

}  // namespace
}  // namespace watchwheel::db
