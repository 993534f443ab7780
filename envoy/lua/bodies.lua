-- Checks whole bodies for what neither the services nor the transcoder check. scripts.ts puts above
-- this: the `shapes` of messages, and `body_at(path)`, the shapes of a REST path.

local MAX_DEPTH = 32

-- The position of the closing quote of the string that begins at `at`.
local function end_of_string(text, at)
  local quote, stop = text:sub(at, at), at
  while true do
    stop = text:find("[\\" .. quote .. "]", stop + 1)
    if not stop or text:sub(stop, stop) == quote then return stop end
    stop = stop + 1 -- skip the escaped character
  end
end

-- The first field that its message's shape does not have. A shape of nil matches anything.
local function unknown_field(text, shape)
  local open, at, is_key, value = {}, 1, false, shape
  local function value_ended()
    local around = open[#open]
    is_key = around ~= nil and not around.is_list
    value = around and around.is_list and around.shape or nil
  end
  while true do
    at = text:find("[^%s,:]", at)
    if not at then return nil end
    local char = text:sub(at, at)
    if char == "{" or char == "[" then
      if #open == MAX_DEPTH then return nil end
      open[#open + 1] = { is_list = char == "[", shape = value }
      is_key, at = char == "{", at + 1
    elseif char == "}" or char == "]" then
      open[#open] = nil
      value_ended()
      at = at + 1
    else
      local word, stop
      if char == '"' or char == "'" then
        stop = end_of_string(text, at)
        if not stop then return nil end
        word = text:sub(at + 1, stop - 1)
      else
        stop = (text:find("[%s,:%[%]{}]", at) or #text + 1) - 1
        word = text:sub(at, stop)
      end
      at = stop + 1
      if is_key then
        local fields = open[#open].shape
        local known = fields and fields[word]
        if fields and known == nil then return word end
        value, is_key = shapes[known], false
      else
        value_ended()
      end
    end
  end
end

-- The transcoder drops unknown fields: a client that sends `requestID` would not learn that the name is
-- `requestId`. Invalid JSON is rejected by the transcoder.
local function reject_unknown_fields(handle, body, shape)
  local found = unknown_field(body:getBytes(0, body:length()), shape)
  if not found then return end
  local name = found:match("^[%w_.-]+$") and #found <= 64 and ' "' .. found .. '"' or ""
  handle:respond({ [":status"] = "400" }, "the body has a field" .. name .. " that is not in the contract")
end

-- gRPC-Web in base64, which may have padding at the end of each frame.
local DIGITS, EQUALS = {}, ("="):byte()
for i, digit in ipairs({ ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):byte(1, 64) }) do
  DIGITS[digit] = i - 1
end

local function from_base64(text)
  local bytes = {}
  for i = 1, #text, 4 do
    local a, b, c, d = text:byte(i, i + 3)
    local n = (DIGITS[a] or 0) * 262144 + (DIGITS[b] or 0) * 4096 + (DIGITS[c] or 0) * 64 + (DIGITS[d] or 0)
    local three = string.char(math.floor(n / 65536), math.floor(n / 256) % 256, n % 256)
    bytes[#bytes + 1] = three:sub(1, (c or EQUALS) == EQUALS and 1 or (d or EQUALS) == EQUALS and 2 or 3)
  end
  return table.concat(bytes)
end

-- 64 KiB, and the frame header of a gRPC message.
local MAX_RPC_BYTES = 65541

-- Decodes a base64 body, and limits the decoded size.
local function decode_and_limit(handle, body)
  local metadata = handle:streamInfo():dynamicMetadata():get("edge")
  if metadata and metadata["web_text"] then body:setBytes(from_base64(body:getBytes(0, body:length()))) end
  if body:length() > MAX_RPC_BYTES then handle:respond({ [":status"] = "413" }, "") end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = (headers:get(":path") or ""):match("^[^?#]*")
  if path:find("^/ticketing%.") then
    local body = handle:body()
    if body then decode_and_limit(handle, body) end
    return
  end
  local bodies = body_at(path)
  local shape = bodies and shapes[bodies[headers:get(":method")]]
  local body = shape and handle:body()
  if body then reject_unknown_fields(handle, body, shape) end
end
