-- Which runs did not go straight through? How often each was resumed, met a fault, refused a schedule, had one put back, or
-- took another over.
select
    study,
    run,
    sum(case when kind = 'resumed' then 1 else 0 end) as resumed,
    sum(case when kind = 'fault' then 1 else 0 end) as faults,
    sum(case when kind = 'rejected' then 1 else 0 end) as rejected,
    sum(case when kind = 'reverted' then 1 else 0 end) as reverted,
    sum(case when kind = 'swapped' then 1 else 0 end) as swapped
from events
where kind in ('resumed', 'fault', 'rejected', 'reverted', 'swapped')
group by study, run
order by study, run
