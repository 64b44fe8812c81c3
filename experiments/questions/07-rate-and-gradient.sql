-- Do the learning rate and the gradient's norm go together? Their correlation over the steps of each run whose rate
-- changes and whose gradients were measured.
select study, run, count(*) as steps, corr(learning_rate, grad_norm) as correlation
from steps
where grad_norm is not null and not isnan(grad_norm)
group by study, run
having min(learning_rate) < max(learning_rate)
order by study, run
