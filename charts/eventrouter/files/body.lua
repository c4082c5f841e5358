-- Makes a request's body of each event, for a webhook. The chart sets `template` above this, and
-- `entities` for a receiver that takes & < > for markup.
--
-- %{event.reason} is a field of the record, as JSON wants it within a text, and empty where there
-- is none. %{time} is the event's own time, %{env:NAME} a variable of the container.
--
-- Nowhere a dollar before a brace: Fluent Bit looks for its variables in this text too, and takes the
-- first closing brace for their end.

local escapes = {['"'] = '\\"', ['\\'] = '\\\\', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t'}

local function escape(character)
    return escapes[character] or string.format("\\u%04x", character:byte())
end

local function field(record, path)
    local value = record
    for key in path:gmatch("[^.]+") do
        value = type(value) == "table" and value[key] or nil
    end
    if type(value) ~= "string" and type(value) ~= "number" then
        return ""
    end
    local text = tostring(value)
    return entities and text:gsub("[&<>]", entities) or text
end

function body(tag, timestamp, record)
    local text = template:gsub("%%{([%w.:_-]+)}", function(name)
        local value
        if name == "time" then
            value = os.date("!%Y-%m-%dT%H:%M:%SZ", timestamp)
        elseif name:sub(1, 4) == "env:" then
            value = os.getenv(name:sub(5)) or ""
        else
            value = field(record, name)
        end
        return (value:gsub('[%c"\\]', escape))
    end)
    return 2, timestamp, {body = text, headers = {["Content-Type"] = "application/json"}}
end
