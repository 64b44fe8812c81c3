-- What did each swap change? The mean loss and the mean learning rate of the hundred steps before it, and of the hundred
-- from it on. A fork's steps before it are in the run that it was forked from.
with takeovers as (
    select study, run, swaps, min(step) as takeover
    from steps
    where swaps > 0
    group by study, run, swaps
)
select
    takeovers.study,
    takeovers.run,
    takeovers.swaps,
    takeover,
    avg(case when step < takeover then learning_rate end) as rate_before,
    avg(case when step >= takeover then learning_rate end) as rate_after,
    avg(case when step < takeover then train_loss end) as loss_before,
    avg(case when step >= takeover then train_loss end) as loss_after
from takeovers join steps on steps.study = takeovers.study and steps.run = takeovers.run
where step >= takeover - 100 and step < takeover + 100
group by takeovers.study, takeovers.run, takeovers.swaps, takeover
order by takeovers.study, takeovers.run, takeovers.swaps
