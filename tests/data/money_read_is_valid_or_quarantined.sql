-- If this fails, money of a delivered file is in none of fct_sales and
-- fct_quarantined_sales.
with

ledger as (

    select * from {{ ref('fct_delivered_files') }}

    where {{ is_in_scope('batch_id') }}

)

select
    file_id,
    file_name,
    amount_read,
    amount_valid,
    amount_quarantined

from ledger

where
    amount_read <> amount_valid + amount_quarantined
    or amount_read is null
