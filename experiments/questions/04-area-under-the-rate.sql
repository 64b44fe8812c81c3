-- What area does each run's learning rate enclose over its steps, how high does it go, and how well did the run end? Two
-- schedules of one area moved the weights about as far, if the gradients were alike. Areas that differ by the rounding of
-- their sums are one.
with areas as (
    select study, run, sum(learning_rate) as area, max(learning_rate) as peak
    from steps
    group by study, run
)
select areas.study, areas.run, runs.schedule, area, peak, final_eval_accuracy
from areas join runs on runs.study = areas.study and runs.run = areas.run
order by round(area, 9) desc, areas.study, areas.run
