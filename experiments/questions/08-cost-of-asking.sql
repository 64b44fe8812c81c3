-- What does it cost to ask the schedule? The mean of a step and the most in one step, in microseconds, and the share of the
-- steps' time in percent, for each schedule. (It may be asked for some steps at once, in the first of them.)
with costs as (
    select
        study,
        run,
        count(*) as steps,
        sum(schedule_ns) as asking,
        max(schedule_ns) as worst,
        sum(step_ns) as training
    from steps
    group by study, run
)
select
    schedule,
    sum(asking) / 1e3 / sum(steps) as mean_us,
    max(worst) / 1e3 as worst_us,
    100.0 * sum(asking) / sum(training) as percent
from costs join runs on runs.study = costs.study and runs.run = costs.run
group by schedule
order by percent desc, schedule
