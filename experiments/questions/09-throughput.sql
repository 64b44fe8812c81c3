-- How many steps a second does each run do, pass by pass? A machine that something else took over shows here.
select
    study,
    run,
    floor(epoch) as pass,
    count(*) as steps,
    count(*) / (sum(step_ns) / 1e9) as steps_per_second
from steps
group by study, run, floor(epoch)
order by study, run, pass
