-- If this fails, money of a delivered file is in none of fct_sales and
-- fct_quarantined_sales.
with

ledger as (

    select * from {{ ref('fct_delivered_files') }}

    where {{ is_in_scope('batch_id') }}

),

sales as (

    select * from {{ ref('stg_pos__sales') }}

    where {{ is_in_scope('batch_id') }}

),

amounts_read as (

    select
        file_id,
        sum(total_cost) as amount_read

    from sales

    group by file_id

)

select
    ledger.file_id,
    ledger.file_name,
    amounts_read.amount_read,
    ledger.amount_valid,
    ledger.amount_quarantined

from ledger

left join amounts_read on ledger.file_id = amounts_read.file_id

where
    ledger.amount_valid + ledger.amount_quarantined
    <> coalesce(amounts_read.amount_read, 0)
