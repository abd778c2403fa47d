-- incremental: a build writes the batches in scope, each in a partition of its own,
-- after dropping them, and leaves the others alone
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partition_by=['batch_id'],
    pre_hook='{{ drop_batches_in_scope() }}'
) }}

with

files as (

    select * from {{ ref('int_files_judged') }}

),

sales as (

    select * from {{ ref('fct_sales') }}

    where {{ is_in_scope('batch_id') }}

),

quarantined_sales as (

    select * from {{ ref('fct_quarantined_sales') }}

    where {{ is_in_scope('batch_id') }}

),

valid_totals as (

    select
        file_id,
        count(*) as rows_valid,
        sum(total_cost) as amount_valid

    from sales

    group by file_id

),

quarantined_totals as (

    select
        file_id,
        count(*) as rows_quarantined,
        sum(total_cost) as amount_quarantined

    from quarantined_sales

    group by file_id

),

fct_delivered_files as (

    select /*+ rebalance(batch_id) */
        files.file_id,
        files.file_name,
        files.rows_read,
        coalesce(valid_totals.rows_valid, 0) as rows_valid,
        coalesce(quarantined_totals.rows_quarantined, 0) as rows_quarantined,
        files.amount_read,
        coalesce(valid_totals.amount_valid, cast(0 as decimal(28, 2))) as amount_valid,
        coalesce(quarantined_totals.amount_quarantined, cast(0 as decimal(28, 2)))
            as amount_quarantined,
        files.file_reason as reason,
        files.batch_id

    from files

    left join valid_totals on files.file_id = valid_totals.file_id

    left join quarantined_totals on files.file_id = quarantined_totals.file_id

)

select * from fct_delivered_files
