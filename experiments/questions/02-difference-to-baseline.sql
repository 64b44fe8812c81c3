-- How much better is each schedule than the one called "baseline", seed by seed? Runs with the same seed share their
-- initial weights and the order of their pictures, so their differences scatter less than their accuracies do.
select
    other.schedule,
    count(*) as pairs,
    avg(other.final_eval_accuracy - base.final_eval_accuracy) as difference,
    stddev_samp(other.final_eval_accuracy - base.final_eval_accuracy) / sqrt(count(*)) as standard_error,
    count(*) filter (where other.final_eval_accuracy > base.final_eval_accuracy) as wins
from runs as base join runs as other
    on other.study = base.study and other.seed = base.seed and other.schedule <> base.schedule
where base.schedule = 'baseline'
    and base.final_eval_accuracy is not null and other.final_eval_accuracy is not null
group by other.schedule
order by difference desc, other.schedule
