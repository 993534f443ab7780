-- Normalizes requests, so that the filters behind this one see a single form of each. scripts.ts puts
-- `endpoint(path)` above this: the HTTP methods that a path of the contracts allows, each with the class
-- whose rate limits apply to it.

-- The authentication scheme is case-insensitive (RFC 9110, 11.1). If the header occurs more than once,
-- it is left alone, and the token filter rejects it.
local function normalize_bearer(headers)
  local given = headers:get("authorization")
  if not given or headers:getNumValues("authorization") ~= 1 then return end
  local scheme, token = given:match("^(%a+) +(%S+)$")
  if scheme and scheme:lower() == "bearer" and given ~= "Bearer " .. token then
    headers:replace("authorization", "Bearer " .. token)
  end
end

-- Bodies must be JSON, which a plain HTML form cannot send. Without a body the type means nothing:
-- libraries add a default one, such as that of a form.
local function is_json(handle, headers)
  local type = (headers:get("content-type") or ""):lower()
  if type:find("^application/json%s*$") or type:find("^application/json%s*;") then return true end
  if (headers:get("content-length") or "0") ~= "0" then return false end
  local body = handle:body() -- nil if the request has headers only
  if body and body:length() > 0 then return false end
  headers:replace("content-type", "application/json")
  return true
end

local function set_metadata(handle, key) handle:streamInfo():dynamicMetadata():set("edge", key, true) end

-- The official gRPC-Web client encodes its bodies in base64. The services expect binary: see bodies.lua.
local function normalize_grpc_web(handle, headers)
  local type = (headers:get("content-type") or ""):lower()
  local web_text = type:match("^application/grpc%-web%-text(.*)$")
  if not web_text then return end
  set_metadata(handle, "web_text")
  headers:replace("content-type", "application/grpc-web" .. web_text)
end

local WITH_BODY = { POST = true, PUT = true, PATCH = true }

function envoy_on_request(handle)
  local headers = handle:headers()
  local target = headers:get(":path") or ""
  local path, query = target:match("^([^?#]*)(.*)$")
  local is_rest = path:find("^/api/") ~= nil
  if not is_rest and not path:find("^/ticketing%.") then return end

  normalize_bearer(headers)
  if not is_rest then normalize_grpc_web(handle, headers) end -- before an error response needs its format
  local normalized = path:gsub("/+$", "")
  local known = endpoint(normalized)
  if not known then
    -- There is nothing to protect, so the response is 404 rather than 401, also without a token.
    return handle:respond({ [":status"] = "404" }, "")
  end
  if normalized ~= path then headers:replace(":path", normalized .. query) end

  local method = headers:get(":method")
  if method == "OPTIONS" and headers:get("access-control-request-method") then return end
  if method == "HEAD" and known.methods.GET then
    set_metadata(handle, "head")
    headers:replace(":method", "GET")
    method = "GET"
  end
  local class = known.methods[method]
  if not class then return handle:respond({ [":status"] = "405", allow = known.allow }, "") end
  handle:streamInfo():dynamicMetadata():set("call", "class", class)
  if is_rest and WITH_BODY[method] and not is_json(handle, headers) then
    return handle:respond({ [":status"] = "415" }, "")
  end
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata():get("edge")
  if not metadata then return end
  local headers = handle:headers()
  if metadata["web_text"] then
    local type = (headers:get("content-type") or ""):gsub("^application/grpc%-web", "%0-text")
    headers:replace("content-type", type)
    headers:remove("content-length")
  end
  for chunk in handle:bodyChunks() do
    -- HEAD was forwarded as GET, so the body is removed from the response.
    chunk:setBytes(metadata["head"] and "" or handle:base64Escape(chunk:getBytes(0, chunk:length())))
  end
end
