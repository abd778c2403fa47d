-- a query over all months, however few of them a build has touched
{{ config(pre_hook='{{ generate_code() }}') }}

{#- Of two months that follow each other one is even: so the last month and the one
    before it are found in one pass, without joining the mart with itself. -#}
{%- set last_month
    = 'max(struct(sales_date_month, total_sales, full_name, is_known_customer))' -%}
{%- set is_even = 'cast(right(sales_date_month, 2) as int) % 2 = 0' %}

with

customer_months as (

    select * from {{ ref('customers_data_mart') }}

),

customers as (

    select
        customer_id,
        min(first_sales_date) as first_sales_date,
        max(last_sales_date) as last_sales_date,
        sum(days_with_sales) as days_with_sales,
        sum(sales_count) as sales_count,
        sum(total_sales) as total_sales,
        -- the month is the first field, so it decides which struct is greatest
        {{ last_month }} filter (where {{ is_even }}) as last_even_month,
        {{ last_month }} filter (where not {{ is_even }}) as last_odd_month

    from customer_months

    group by customer_id

),

last_months as (

    select
        *,
        greatest(last_even_month, last_odd_month) as last_month,
        least(last_even_month, last_odd_month) as other_month

    from customers

),

rpt_sales_by_customer as (

    select
        customers.customer_id,
        customers.last_month.full_name,
        customers.last_month.is_known_customer,
        customers.first_sales_date,
        customers.last_sales_date,
        customers.days_with_sales,
        customers.sales_count,
        cast(customers.total_sales as decimal(28, 2)) as total_sales,
        customers.last_month.sales_date_month as last_sales_month,
        customers.last_month.total_sales as last_month_sales,
        -- month over month compares calendar months: a month without a purchase counts
        -- as nothing bought
        cast(
            customers.last_month.total_sales
            - if(
                customers.other_month.sales_date_month
                = {{ month_before('customers.last_month.sales_date_month') }},
                customers.other_month.total_sales,
                0
            ) as decimal(28, 2)
        ) as change_to_previous_month

    from last_months as customers

)

select * from rpt_sales_by_customer
