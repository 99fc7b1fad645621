-- The judge of runs of diffusers' schedulers: it sees one option that is wrong, and each defect of the peer has a row.
local defects = dofile "spec/support/scheduler_defects.lua"
local rows = dofile "spec/support/scheduler_rows.lua"

local all = rows.read "spec/fixtures/peers/schedulers.jsonl"

-- The first row of a class with steps that a condition accepts.
local function row_of(class, accepts)
  for _, row in ipairs(all) do
    if row.c == class .. "Scheduler" and row.n >= 7 and accepts(row.o, row) then return row end
  end
end

-- The row with other options than those that the peer ran.
local function changed(row, options)
  local out, o = {}, {}
  for key, value in pairs(row) do out[key] = value end
  for key, value in pairs(row.o) do o[key] = value end
  for key, value in pairs(options) do o[key] = value end
  out.o = o
  return out
end

local function plain(o) return next(o) == nil end

-- {class, the row's options, an option that is changed}
local wrong = {
  { "EulerDiscrete", plain, { beta_end = 0.02001 } },
  { "EulerDiscrete", plain, { timestep_spacing = "trailing" } },
  { "EulerDiscrete", function(o) return o.use_karras_sigmas end, { use_karras_sigmas = false } },
  { "EulerAncestralDiscrete", plain, { steps_offset = 1, timestep_spacing = "leading" } },
  { "HeunDiscrete", plain, { prediction_type = "v_prediction" } },
  { "LMSDiscrete", plain, { use_exponential_sigmas = true } },
  { "KDPM2Discrete", plain, { use_beta_sigmas = true } },
  { "EDMEuler", plain, { rho = 7.01 } },
  { "EDMDPMSolverMultistep", plain, { solver_type = "heun" } },
  { "CMStochasticIterative", plain, { s_noise = 1.001 } },
  { "FlowMatchEulerDiscrete", plain, { shift = 1.001 } },
  { "FlowMatchEulerDiscrete", plain, { shift_terminal = 0.1 } },
  { "FlowMatchLCM", plain, { use_karras_sigmas = true } },
  { "DDIM", plain, { beta_start = 0.00011 } },
  { "DDPM", plain, { variance_type = "fixed_large" } },
  { "DPMSolverMultistep", plain, { solver_order = 1 } },
  { "UniPCMultistep", plain, { solver_order = 3 } },
  { "ScoreSdeVe", plain, { snr = 0.16 } },
}

describe("a run of diffusers with other options than the config's", function()
  for _, case in ipairs(wrong) do
    local key, value = next(case[3])
    it(("%s, %s = %s, fails"):format(case[1], key, value), function()
      local row = assert(row_of(case[1], case[2]))
      local how, why = rows.judge(row)
      assert.is_truthy(how:find "^met", why)
      assert.equal("failed", (rows.judge(changed(row, case[3]))))
    end)
  end
end)

describe("refusals", function()
  it("name the class and an option of the row, or the steps", function()
    for _, row in ipairs(all) do
      local how, why = rows.judge(row)
      if how == "refused" then
        local named = why:find("steps", 1, true) or why:find("x holds no signal", 1, true)
        for _, given in ipairs { row.o, row.set or {}, row.step or {} } do
          for key in pairs(given) do named = named or why:find(key, 1, true) end
        end
        assert.is_truthy(named, rows.name(row) .. ": " .. why)
        assert.is_truthy(why:find(row.c, 1, true), rows.name(row) .. ": " .. why)
      end
    end
  end)
end)

describe("defects of the peer", function()
  it("are few among the rows", function()
    local count = 0
    for _, row in ipairs(all) do
      if defects.of(row) and rows.judge(row) == "defect" then count = count + 1 end
    end
    assert.is_true(count >= 5 and count < 0.02 * #all, ("%d of %d rows"):format(count, #all))
  end)
end)

describe("the matrix", function()
  it("has every option of every class, and more than a thousand combinations", function()
    local seen, count = {}, 0
    for _, row in ipairs(all) do
      local name = rows.name(row):gsub(" n=.*", "")
      if not seen[name] then seen[name], count = true, count + 1 end
    end
    assert.is_true(count > 1000, count)
    assert.is_true(#all > 1500)
  end)
end)
