-- a table: the marts read it before they are planned, so that Spark opens these months
-- only
{{ config(
    materialized='table',
    pre_hook="{{ generate_code()
        if not is_unchanged('customer', 'sales_team', 'store', 'product') }}"
) }}

{%- set cut_short = months_out_of_step('fct_sales', {
    'customer_sales': 'sales_month',
    'customers_data_mart': 'sales_date_month',
    'sales_team_sales': 'sales_month',
    'sales_team_data_mart': 'sales_month',
    'rpt_sales_by_product_and_month': 'sales_month',
}) %}

with

sales as (

    select * from {{ ref('stg_pos__sales') }}

    where {{ is_in_scope('batch_id') }}

),

months_of_changed_dimensions as (

    select * from {{ ref('int_months_changed') }}

),

-- every row that has a day, so that a row or file that no longer counts takes its month
-- along
months_of_batches as (

    select {{ month_of('sales_date') }} as sales_month

    from sales

    where sales_date is not null

),

-- months that a build dropped from one table and was ended before it wrote them again
months_cut_short as (

    select explode(
        array(
            {%- for month in cut_short %}
            {{ text_literal(month) }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
    ) as sales_month

),

unioned as (

    select sales_month from months_of_batches
    union all
    select sales_month from months_of_changed_dimensions
    union all
    select cast(sales_month as string) as sales_month from months_cut_short

),

int_months_touched as (

    select sales_month

    from unioned

    group by sales_month

)

select * from int_months_touched
