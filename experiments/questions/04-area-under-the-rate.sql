-- How large is the area under each run's learning rate, how high does the rate go, and how well did the run end? Two
-- schedules of one area moved the weights about as far, if the gradients were alike. Areas that differ only by the rounding of
-- their sums count as equal.
with areas as (
    select study, run, sum(learning_rate) as area, max(learning_rate) as peak
    from steps
    group by study, run
)
select areas.study, areas.run, runs.schedule, area, peak, final_eval_accuracy
from areas join runs on runs.study = areas.study and runs.run = areas.run
order by round(area, 9) desc, areas.study, areas.run
