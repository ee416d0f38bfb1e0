// SPDX-License-Identifier: Apache-2.0
#include "http/openapi.h"

namespace watchwheel::http {

std::string_view openapi_document() {
  return R"({
  "openapi": "3.0.3",
  "info": {
    "title": "Watchwheel",
    "version": "1",
    "description": "What an operator asks of a running Watchwheel. When a token is configured (http.token_file), everything but /-/healthy and /-/ready needs it.",
    "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" }
  },
  "security": [ {}, { "bearer": [] } ],
  "paths": {
    "/": { "get": {
      "summary": "The operator's page.",
      "responses": { "200": { "description": "State, links and the status.", "content": { "text/html": {} } },
                     "401": { "$ref": "#/components/responses/Refusal" } } } },
    "/metrics": { "get": {
      "summary": "Metrics in the Prometheus text format.",
      "responses": { "200": { "description": "Text format 0.0.4.", "content": { "text/plain": {} } },
                     "401": { "$ref": "#/components/responses/Refusal" } } } },
    "/-/healthy": { "get": {
      "summary": "Does the process make progress? If not, a restart would help.",
      "security": [ {} ],
      "responses": { "200": { "description": "It does.", "content": { "text/plain": {} } },
                     "503": { "description": "It does not; the body says why.", "content": { "text/plain": {} } } } } },
    "/-/ready": { "get": {
      "summary": "Has it loaded its sites, and does it check them?",
      "security": [ {} ],
      "responses": { "200": { "description": "Yes. A body that begins with degraded: says what it does without meanwhile, the store say.", "content": { "text/plain": {} } },
                     "503": { "description": "Not yet, or what it judges cannot be kept; the body says what is awaited.", "content": { "text/plain": {} } } } } },
    "/-/reload": { "post": {
      "summary": "Reads the configuration again and puts it in force as a whole, or changes nothing.",
      "responses": { "200": { "description": "In force; the body says what changed.", "content": { "text/plain": {} } },
                     "401": { "$ref": "#/components/responses/Refusal" },
                     "403": { "$ref": "#/components/responses/Refusal" },
                     "409": { "description": "Refused; the body holds every reason, one a line. The old configuration stays in force.", "content": { "text/plain": {} } } } } },
    "/api/v1/status": { "get": {
      "summary": "What the daemon is doing, and what it decided automatically and why.",
      "responses": { "200": { "description": "What `watchwheel status --json` prints.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Status" } } } },
                     "401": { "$ref": "#/components/responses/Refusal" } } } },
    "/api/v1/openapi.json": { "get": {
      "summary": "This document.",
      "responses": { "200": { "description": "OpenAPI 3.0.", "content": { "application/json": {} } },
                     "401": { "$ref": "#/components/responses/Refusal" } } } }
  },
  "components": {
    "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
    "responses": { "Refusal": { "description": "Why not.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } } } },
    "schemas": { "Error": { "type": "object", "required": [ "error" ], "properties": { "error": { "type": "string" } } },
      "Status": { "type": "object", "description": "The keys are explained in docs/reference/commands.md. Counts are since the start, unless they are of a window.",
        "required": [ "version", "ready", "started_at", "uptime_s", "sites", "checks", "lag_s", "freshness", "in_flight", "pressure", "incidents", "queues", "lanes", "summary" ],
        "properties": {
          "version": { "type": "string" },
          "ready": { "type": "boolean" },
          "started_at": { "type": "string", "format": "date-time" },
          "uptime_s": { "type": "number" },
          "summary": { "type": "object", "required": [ "standing", "text" ], "properties": {
            "standing": { "type": "string", "enum": [ "ok", "loading", "late", "fault" ] }, "text": { "type": "string" } } },
          "config": { "type": "object" },
          "store": { "type": "string" },
          "http": { "type": "string" },
          "sites": { "type": "object", "additionalProperties": { "type": "integer" } },
          "checks": { "type": "object", "additionalProperties": { "type": "number" } },
          "lag_s": { "type": "object", "properties": {
            "p50": { "type": "number" }, "p95": { "type": "number" }, "p99": { "type": "number" }, "p999": { "type": "number" },
            "max": { "type": "number" }, "max_beyond": { "type": "boolean" }, "window_s": { "type": "number" } } },
          "recent": { "type": "object", "properties": {
            "step_s": { "type": "number" },
            "done_per_second": { "type": "array", "items": { "type": "number" } },
            "lag_p99_s": { "type": "array", "items": { "type": "number" } } } },
          "freshness": { "type": "object", "additionalProperties": { "type": "number" } },
          "in_flight": { "type": "object" },
          "pressure": { "type": "object", "additionalProperties": { "type": "number" } },
          "stretch": { "type": "object" },
          "vantage": { "type": "object" },
          "verification": { "type": "object" },
          "legacy": { "description": "the table of another program that is read or told; null without one" },
          "cluster": { "description": "what this node has of the buckets, on a store that many hosts share; null on another" },
          "notify": { "type": "object", "description": "what waits to be told, and how each target fares" },
          "memory": { "type": "object" },
          "limits": { "type": "array", "items": { "type": "object" } },
          "incidents": { "type": "object", "additionalProperties": { "type": "integer" } },
          "recording": { "type": "object" },
          "feed": { "type": "object" },
          "queues": { "type": "array", "items": { "type": "object" } },
          "lanes": { "type": "array", "items": { "type": "object" } },
          "machine": { "type": "object" },
          "process": { "type": "object" } } } }
  }
}
)";
}

}  // namespace watchwheel::http
