-- Which schedule came out best, and how sure is that? The mean accuracy at the end over the seeds, with the half width of
-- its 95 % confidence interval (Student's t; 1.96 deviations beyond 31 seeds). Runs that a search dropped are left out.
with t (freedom, quantile) as (
    values
    (1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (6, 2.4469), (7, 2.3646), (8, 2.3060), (9,
    2.2622), (10, 2.2281), (11, 2.2010), (12, 2.1788), (13, 2.1604), (14, 2.1448), (15, 2.1314), (16, 2.1199), (17,
    2.1098), (18, 2.1009), (19, 2.0930), (20, 2.0860), (21, 2.0796), (22, 2.0739), (23, 2.0687), (24, 2.0639), (25,
    2.0595), (26, 2.0555), (27, 2.0518), (28, 2.0484), (29, 2.0452), (30, 2.0423)
),
accuracies as (
    select
        schedule,
        count(*) as seeds,
        avg(final_eval_accuracy) as accuracy,
        stddev_samp(final_eval_accuracy) / sqrt(count(*)) as standard_error
    from runs
    where status in ('finished', 'diverged') and final_eval_accuracy is not null
    group by schedule
)
select
    schedule,
    seeds,
    accuracy,
    case when seeds > 31 then 1.96 else quantile end * standard_error as half_width
from accuracies left join t on freedom = seeds - 1
order by accuracy desc, schedule
