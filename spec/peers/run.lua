-- make check-peers: runs every script spec/peers/check_*.lua. Each compares this library with
-- the peers, which `make peers` installs. It prints a line for each comparison, and ends with an
-- error if one fails.
local python = os.getenv "PEERS" .. "/bin/python"
if os.execute(python .. " -c 'import diffusers' 2>/dev/null") ~= true then
  io.stderr:write("check-peers: ", python, " has no diffusers; `make peers` installs it\n")
  os.exit(1)
end

local only, failed = os.getenv "ONLY" or "", 0
local list <close> = assert(io.popen "ls spec/peers/check_*.lua 2>/dev/null")
for path in list:lines() do
  if path:find(only, 1, true) then
    print("== " .. path)
    if os.execute((os.getenv "LUA" or "lua5.4") .. " " .. path) ~= true then failed = failed + 1 end
  end
end
print(failed == 0 and "check-peers: all agree" or ("check-peers: %d scripts failed"):format(failed))
os.exit(failed == 0)
