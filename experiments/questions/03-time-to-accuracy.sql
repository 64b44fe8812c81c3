-- How long does each run take to an accuracy of 0.5 on the test set: in steps, and in seconds of training? Runs that never
-- get there are left out.
with reached as (
    select study, run, min(step) as target
    from evals
    where split = 'test' and accuracy >= 0.5
    group by study, run
)
select steps.study, steps.run, max(target) as steps, sum(step_ns) / 1e9 as seconds
from steps join reached on steps.study = reached.study and steps.run = reached.run
where step < target
group by steps.study, steps.run
order by steps.study, steps.run
