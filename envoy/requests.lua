-- Plain requests that mean one thing, made the one way that the filters behind expect. What stands above
-- this, from contracts.ts: `endpoint(path)` gives what may be asked at a path of ours.

-- The scheme of a header of credentials is spelled in any case (RFC 9110, 11.1). Of several lines of it
-- none counts.
local function spell_bearer(headers)
  local given = headers:get("authorization")
  if not given or headers:getNumValues("authorization") ~= 1 then return end
  local scheme, token = given:match("^(%a+) +(%S+)$")
  if scheme and scheme:lower() == "bearer" and given ~= "Bearer " .. token then
    headers:replace("authorization", "Bearer " .. token)
  end
end

-- Bodies are JSON, which no plain HTML form can send. Where there is no body, its type says nothing:
-- libraries put one there of their own, such as that of a form.
local function is_json(handle, headers)
  local type = (headers:get("content-type") or ""):lower()
  if type:find("^application/json%s*$") or type:find("^application/json%s*;") then return true end
  if (headers:get("content-length") or "0") ~= "0" then return false end
  local body = handle:body() -- nil where the headers were all
  if body and body:length() > 0 then return false end
  headers:replace("content-type", "application/json")
  return true
end

local function note(handle, key) handle:streamInfo():dynamicMetadata():set("edge", key, true) end

-- The makers' own client of gRPC-Web writes it in base64. The services speak it as it is: bodies.lua.
local function spell_grpc_web(handle, headers)
  local type = (headers:get("content-type") or ""):lower()
  local web_text = type:match("^application/grpc%-web%-text(.*)$")
  if not web_text then return end
  note(handle, "web_text")
  headers:replace("content-type", "application/grpc-web" .. web_text)
end

local WITH_BODY = { POST = true, PUT = true, PATCH = true }

function envoy_on_request(handle)
  local headers = handle:headers()
  local asked = headers:get(":path") or ""
  local path, query = asked:match("^([^?#]*)(.*)$")
  local is_rest = path:find("^/api/") ~= nil
  if not is_rest and not path:find("^/ticketing%.") then return end

  spell_bearer(headers)
  if not is_rest then spell_grpc_web(handle, headers) end -- before anything is refused in its words
  local plain = path:gsub("/+$", "")
  local there = endpoint(plain)
  if not there then
    -- Nothing to guard: a stranger hears that too, and not that they should sign in.
    return handle:respond({ [":status"] = "404" }, "")
  end
  if plain ~= path then headers:replace(":path", plain .. query) end

  local method = headers:get(":method")
  if method == "OPTIONS" and headers:get("access-control-request-method") then return end
  if method == "HEAD" and there.methods.GET then
    note(handle, "head")
    headers:replace(":method", "GET")
  elseif not there.methods[method] then
    return handle:respond({ [":status"] = "405", allow = there.allow }, "")
  end
  if is_rest and WITH_BODY[method] and not is_json(handle, headers) then
    return handle:respond({ [":status"] = "415" }, "")
  end
end

function envoy_on_response(handle)
  local noted = handle:streamInfo():dynamicMetadata():get("edge")
  if not noted then return end
  local headers = handle:headers()
  if noted["web_text"] then
    local type = (headers:get("content-type") or ""):gsub("^application/grpc%-web", "%0-text")
    headers:replace("content-type", type)
    headers:remove("content-length")
  end
  for chunk in handle:bodyChunks() do
    -- HEAD was asked as GET: everything is answered but the body.
    chunk:setBytes(noted["head"] and "" or handle:base64Escape(chunk:getBytes(0, chunk:length())))
  end
end
