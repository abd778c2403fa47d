-- incremental: a build writes the batches in scope, each in partitions of its own,
-- after dropping them, and leaves the others alone
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partition_by=['sales_month', 'batch_id'],
    pre_hook='{{ drop_batches_in_scope() }}'
) }}

with

sales as (

    select * from {{ ref('int_sales_checked') }}

    where {{ is_in_scope('batch_id') }}

),

files as (

    select * from {{ ref('int_files_judged') }}

),

trusted_files as (

    select file_id

    from files

    where file_reason is null

),

fct_sales as (

    select /*+ rebalance(sales_month, batch_id) */
        sales.file_id,
        sales.line_number,
        {%- for column in contract_columns() %}
        sales.{{ column.name }},
        {%- endfor %}
        nullif(sales.warn_reasons, '') as warn_reasons,
        sales.additional_column,
        {{ month_of('sales.sales_date') }} as sales_month,
        sales.batch_id

    from sales

    inner join trusted_files on sales.file_id = trusted_files.file_id

    where not sales.is_rejected

)

select * from fct_sales
