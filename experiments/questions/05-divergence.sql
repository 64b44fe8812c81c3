-- Where did the loss of a run first leave all bounds, and at what learning rate? The bound is twice the loss of guessing
-- among ten classes, 2 ln 10; a NaN is over it.
with first as (
    select study, run, min(step) as step
    from steps
    where isnan(train_loss) or train_loss > 2 * ln(10)
    group by study, run
)
select first.study, first.run, first.step, learning_rate
from first join steps
    on steps.study = first.study and steps.run = first.run and steps.step = first.step
order by first.study, first.run
